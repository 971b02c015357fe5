// Where the model saw tampering, over the small picture that is pointed at or has the focus.
"use strict";
const reveal = (event) => {
  const frame = event.target.closest?.("[data-overlay]");
  if (!frame || frame.querySelector(".overlay")) return;
  const image = new Image();
  image.className = "overlay";
  image.alt = "";
  image.src = frame.dataset.overlay;
  image.decode().then(() => frame.append(image), () => {});
};
document.addEventListener("pointerover", reveal);
document.addEventListener("focusin", reveal);
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id === "shots") announce(`${event.target.children.length} images shown`);
});

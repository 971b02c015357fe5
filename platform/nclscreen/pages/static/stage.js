// The photograph with the overlay on it: how strong that is, and zoom and pan, which stay from image to image.
"use strict";
const stage = (() => {
  const frame = document.getElementById("stage");
  const layers = document.getElementById("layers");
  const opacity = document.getElementById("opacity");
  const at = { scale: 1, x: 0, y: 0 }; // x, y: shares of the frame
  const drawingShown = document.getElementById("drawing-shown");
  let withoutOverlay = false;

  const draw = () => {
    layers.style.transform = `translate(${100 * at.x}%, ${100 * at.y}%) scale(${at.scale})`;
    frame.classList.toggle("zoomed", at.scale > 1);
    const overlay = layers.querySelector(".overlay");
    if (overlay) overlay.style.opacity = withoutOverlay ? 0 : opacity.value / 100;
    frame.classList.toggle("bare", withoutOverlay);
    const drawing = layers.querySelector(".drawing");
    drawingShown.parentElement.hidden = !drawing;
    if (drawing) drawing.hidden = !drawingShown.checked || frame.classList.contains("brushing");
  };
  const bound = (value) => Math.max(-at.scale / 2, Math.min(at.scale / 2, value));
  const move = (x, y) => {
    at.x = at.scale === 1 ? 0 : bound(x);
    at.y = at.scale === 1 ? 0 : bound(y);
    draw();
  };
  // `x`, `y`: the place that stays where it is, from the middle
  const zoom = (factor, x = 0, y = 0) => {
    const scale = Math.max(1, Math.min(16, at.scale * factor));
    const grown = scale / at.scale;
    at.scale = scale;
    move(x - grown * (x - at.x), y - grown * (y - at.y));
  };
  const fit = () => {
    at.scale = 1;
    move(0, 0);
  };
  const place = (event) => {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
  };

  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...place(event));
  }, { passive: false });
  frame.addEventListener("pointerdown", (event) => {
    if (at.scale === 1 || event.button !== 0) return;
    const [fromX, fromY] = place(event);
    const begun = { ...at };
    const drag = (moved) => {
      const [x, y] = place(moved);
      move(begun.x + x - fromX, begun.y + y - fromY);
    };
    frame.setPointerCapture(event.pointerId);
    frame.addEventListener("pointermove", drag);
    frame.addEventListener("lostpointercapture", () => frame.removeEventListener("pointermove", drag), { once: true });
  });
  frame.addEventListener("dblclick", (event) => (at.scale > 1 ? fit() : zoom(3, ...place(event))));
  opacity.addEventListener("input", draw);
  drawingShown.addEventListener("change", draw);
  document.getElementById("zoom-in").addEventListener("click", () => zoom(1.5));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("zoom-fit").addEventListener("click", fit);
  const clear = document.getElementById("clear");
  const showClearly = () => frame.classList.toggle("clear");
  clear?.addEventListener("click", showClearly);
  for (const each of document.querySelectorAll("[data-script]")) each.hidden = false;
  draw();

  return {
    zoom,
    fit,
    showClearly,
    redraw: draw,
    toggleDrawing: () => {
      drawingShown.checked = !drawingShown.checked;
      draw();
    },
    // other pictures; blurred again where they are to be
    show: (pictures) => {
      frame.classList.remove("clear");
      layers.replaceChildren(...pictures);
      draw();
    },
    hold: (without) => {
      withoutOverlay = without;
      draw();
    },
  };
})();

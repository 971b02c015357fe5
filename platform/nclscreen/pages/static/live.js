// Parts that keep themselves fresh: what changed is said once, not with every look.
"use strict";
const announce = (words) => {
  const said = document.getElementById("said");
  if (said && said.textContent !== words) said.textContent = words;
};
document.addEventListener("htmx:afterSettle", () => {
  const word = document.querySelector("[data-say]");
  if (word) announce(word.dataset.say);
});

// The page is complete without this: it adds a filter by name and larger pictures.
"use strict";
const cards = [...document.querySelectorAll(".card")];
const filter = document.getElementById("filter");
if (filter && cards.length > 6) {
  const count = document.getElementById("filter-count");
  filter.closest(".filter").hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    let shown = 0;
    for (const card of cards) {
      card.hidden = !card.dataset.name.includes(wanted);
      shown += card.hidden ? 0 : 1;
    }
    count.textContent = wanted ? `${shown} of ${cards.length} shown` : "";
  });
}
const viewer = document.getElementById("viewer");
for (const pair of document.querySelectorAll(".pair")) {
  const open = () => {
    viewer.querySelector(".viewer-name").replaceChildren(pair.closest(".card").querySelector(".name").cloneNode(true));
    viewer.querySelector(".viewer-pair").replaceChildren(...[...pair.children].map((image) => image.cloneNode()));
    viewer.showModal();
  };
  pair.tabIndex = 0;
  pair.setAttribute("role", "button");
  pair.setAttribute("aria-label", "Show larger");
  pair.classList.add("opens");
  pair.addEventListener("click", open);
  pair.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open();
    }
  });
}
viewer.addEventListener("click", (event) => {
  if (event.target === viewer) viewer.close();
});

// The threshold is dragged on the histogram; the form counts, and bars beyond it change colour at once.
"use strict";
const slider = document.getElementById("slider");
const number = document.getElementById("threshold");
const field = { left: 72, right: 880 - 16 }; // of the drawing: html_parts/histogram.py
const bars = [...document.querySelectorAll(".chart rect")].map((bar) => {
  const middle = Number(bar.getAttribute("x")) + Number(bar.getAttribute("width")) / 2;
  return { bar, score: (middle - field.left) / (field.right - field.left) };
});
const paint = () => {
  const threshold = Number(number.value);
  for (const { bar, score } of bars) {
    bar.classList.toggle("bar-flagged", score >= threshold);
    bar.classList.toggle("bar", score < threshold);
  }
};
slider.hidden = false;
slider.closest(".chart").classList.add("dragged");
slider.addEventListener("input", () => {
  number.value = Number(slider.value).toFixed(3);
  paint();
});
number.addEventListener("input", () => {
  slider.value = number.value;
  paint();
});
paint();

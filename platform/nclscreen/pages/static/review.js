// Image after image by keyboard. What is decided is written in order behind the scenes; the next image does not wait.
"use strict";
const panel = document.getElementById("panel");
const queue = document.getElementById("queue");
const keys = document.getElementById("keys");
const tally = document.getElementById("tally");
const AHEAD = 2; // images that are fetched before they are asked for
const KEPT = 6; // images behind and before this one whose pictures are kept
let current = queue.querySelector("[aria-current]").closest("li");
let writing = Promise.resolve();
let extending = null;
const decided = []; // the last one last

// ---- pictures -------------------------------------------------------------------------------------------------
const part = (item, name) => item.querySelector(`template[data-${name}]`).content;

function pictures(item) {
  item.pictures ??= [...part(item, "layers").children].map(fetched);
  return item.pictures;
}

// in a template nothing is fetched, and what is copied out of one is not before it is shown
function fetched(element) {
  if (!(element instanceof HTMLImageElement)) return element.cloneNode(true);
  const image = new Image();
  for (const { name, value } of element.attributes) if (name !== "src") image.setAttribute(name, value);
  image.src = element.getAttribute("src");
  image.decode().catch(() => {}); // shown broken, as it is
  return image;
}

function preload() {
  const items = [...queue.children];
  const place = items.indexOf(current);
  for (const item of items.slice(place + 1, place + 1 + AHEAD)) pictures(item);
  for (const [index, item] of items.entries()) {
    if (Math.abs(index - place) > KEPT) item.pictures = undefined;
  }
  if (place > items.length - 6) extend();
}

// ---- moving ---------------------------------------------------------------------------------------------------
function show(item) {
  queue.querySelector("[aria-current]")?.removeAttribute("aria-current");
  current = item;
  const link = item.querySelector("a");
  link.setAttribute("aria-current", "true");
  stage.show(pictures(item));
  panel.replaceChildren(part(item, "panel").cloneNode(true));
  history.replaceState(null, "", link.href);
  announce(`${item.dataset.review || "unreviewed"}: ${link.textContent.trim()}`);
  // what nobody waits for comes behind the frame in which the image is seen
  requestAnimationFrame(() => setTimeout(settle));
}

function settle() {
  current.scrollIntoView({ block: "nearest", inline: "center" });
  preload();
}

async function step(by) {
  let item = by > 0 ? current.nextElementSibling : current.previousElementSibling;
  if (!item && by > 0 && queue.dataset.behind) {
    const from = current;
    await extend();
    if (current !== from) return;
    item = current.nextElementSibling;
  }
  if (item) show(item);
  else announce(by > 0 ? "This was the last image" : "This is the first image here");
}

async function nextUnreviewed() {
  for (let item = current; ; item = item.nextElementSibling) {
    if (item !== current && !item.dataset.review) return show(item);
    if (!item.nextElementSibling) await extend();
    if (!item.nextElementSibling) return announce("No image behind this one is unreviewed");
  }
}

// the images behind the last one of the queue
function extend() {
  if (!queue.dataset.behind) return Promise.resolve();
  extending ??= fetch(queue.dataset.behind)
    .then((answer) => (answer.ok ? answer.text() : Promise.reject(answer.status)))
    .then((text) => {
      const more = new DOMParser().parseFromString(text, "text/html").getElementById("queue");
      queue.dataset.behind = more?.dataset.behind ?? "";
      const known = new Set([...queue.children].map((item) => item.dataset.ordinal));
      for (const item of [...(more?.children ?? [])]) {
        item.querySelector("[aria-current]")?.removeAttribute("aria-current");
        if (!known.has(item.dataset.ordinal)) queue.append(item);
      }
    })
    .catch(() => announce("The next images could not be fetched"))
    .finally(() => (extending = null));
  return extending;
}

// ---- deciding -------------------------------------------------------------------------------------------------
// one after the other, so that each knows what was written before it
function write(item, makeForm) {
  writing = writing.then(async () => {
    const { action, body } = makeForm() ?? {};
    if (!action) return announce("There is nothing to take back");
    let answer;
    try {
      answer = await fetch(action, { method: "POST", body, headers: { "HX-Request": "true" }, keepalive: true });
    } catch {
      return failed(item, "The server does not answer: nothing was written");
    }
    if (!answer.ok && answer.status !== 412) return failed(item, `Refused with status ${answer.status}: nothing was written`);
    renew(item, await answer.text());
    if (answer.status === 412) failed(item, "Somebody has reviewed this image meanwhile: look again");
  });
  return writing;
}

function failed(item, words) {
  const holds = part(item, "panel").querySelector(".verdict .decision").textContent;
  item.dataset.review = holds === "unreviewed" ? "" : holds;
  if (decided.includes(item)) decided.splice(decided.indexOf(item), 1);
  count();
  show(item);
  const warning = Object.assign(document.createElement("p"), { className: "caveat", role: "alert", textContent: words });
  panel.prepend(warning);
}

// what the server says of an image, in the queue and, if it is looked at, beside it
function renew(item, text) {
  const said = new DOMParser().parseFromString(text, "text/html").querySelector("li");
  item.dataset.review = said.dataset.review;
  item.querySelector("template[data-panel]").replaceWith(said.querySelector("template"));
  if (item === current) panel.replaceChildren(part(item, "panel").cloneNode(true));
}

function decide(decision) {
  const item = current;
  const typed = new FormData(panel.querySelector("form.decide"));
  decided.push(item);
  item.dataset.review = decision;
  count();
  write(item, () => {
    const form = part(item, "panel").querySelector("form.decide");
    typed.set("expected", form.elements.expected.value);
    typed.set("decision", decision);
    return { action: form.getAttribute("action"), body: new URLSearchParams(typed) };
  });
  step(1);
}

function undo() {
  const item = decided.pop() ?? current;
  count();
  show(item);
  let there = false;
  write(item, () => {
    const form = part(item, "panel").querySelector("form.undo");
    there = form !== null;
    return form && { action: form.getAttribute("action"), body: new URLSearchParams(new FormData(form)) };
  }).then(() => there && announce("Taken back"));
}

function count() {
  tally.dataset.here = decided.length;
  tally.querySelector("span")?.remove();
  if (decided.length) tally.append(Object.assign(document.createElement("span"), { textContent: `, ${decided.length} of them here` }));
}

// ---- keys -----------------------------------------------------------------------------------------------------
const DOES = {
  c: () => decide("confirmed"),
  r: () => decide("rejected"),
  u: () => decide("unsure"),
  z: undo,
  n: nextUnreviewed,
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  t: () => panel.querySelector("textarea")?.focus(),
  b: stage.showClearly,
  "+": () => stage.zoom(1.5),
  "-": () => stage.zoom(1 / 1.5),
  0: stage.fit,
  "?": () => keys.showModal(),
};
const keysOn = document.getElementById("keys-on");
keysOn.checked = localStorage.getItem("nclscreen-keys") !== "off";
keysOn.addEventListener("change", () => localStorage.setItem("nclscreen-keys", keysOn.checked ? "on" : "off"));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  const on = event.target;
  if (event.key === "Escape" && on.matches("textarea, select")) return on.blur();
  if (on.matches("textarea, select, input:not([type=range])") || !keysOn.checked) return;
  if (on.matches("[type=range]") && event.key.startsWith("Arrow")) return;
  if (event.key === " ") {
    if (on.matches("button, a, summary")) return;
    event.preventDefault();
    return stage.hold(true);
  }
  const act = Object.hasOwn(DOES, event.key) ? DOES[event.key] : undefined;
  if (!act || (panel.querySelector("form.decide") === null && "cruz".includes(event.key))) return;
  event.preventDefault();
  act();
});
document.addEventListener("keyup", (event) => event.key === " " && stage.hold(false));
panel.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target.matches(".undo")) undo();
  else decide(event.submitter.value);
});
queue.addEventListener("click", (event) => {
  const item = event.target.closest("li");
  if (!item || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(item);
});
const help = document.getElementById("help");
help.hidden = false;
help.addEventListener("click", () => keys.showModal());
preload();

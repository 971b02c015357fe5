// Image after image by keyboard. What is decided is written in order behind the scenes; the next image does not wait.
"use strict";
const panel = document.getElementById("panel");
const queue = document.getElementById("queue");
const keys = document.getElementById("keys");
const tally = document.getElementById("tally");
const held = document.getElementById("held");
const AHEAD = 2; // images that are fetched, and kept from others, before they are asked for
const KEPT = 6; // images behind and before this one whose pictures are kept
const LONGEST_KEPT_ALIVE = 60_000; // bytes of a request that a browser goes on sending when its page is left
let current = queue.querySelector("[aria-current]").closest("li");
let writing = Promise.resolve();
let extending = null;
let leasing = null;
let until = queue.dataset.until; // when the last lease that this page knows of ends
let moved = 0; // the way on which the present image was come to just now: 0 by its name
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

// the next images that nobody else looks at
function ahead() {
  const found = [];
  for (let item = current.nextElementSibling; item && found.length < AHEAD; item = item.nextElementSibling) {
    if (!item.dataset.held) found.push(item);
  }
  return found;
}

function preload() {
  const items = [...queue.children];
  const place = items.indexOf(current);
  for (const item of ahead()) pictures(item);
  for (const [index, item] of items.entries()) {
    if (Math.abs(index - place) > KEPT) item.pictures = undefined;
  }
  if (place > items.length - 6) extend();
}

// ---- moving ---------------------------------------------------------------------------------------------------
function show(item, way = 0) {
  moved = way;
  queue.querySelector("[aria-current]")?.removeAttribute("aria-current");
  current = item;
  const link = item.querySelector("a");
  link.setAttribute("aria-current", "true");
  present(item);
  panel.replaceChildren(part(item, "panel").cloneNode(true));
  history.replaceState(null, "", link.href);
  tellWhoElse();
  announce(`${item.dataset.review || "unreviewed"}: ${link.textContent.trim()}`);
  // what nobody waits for comes behind the frame in which the image is seen
  requestAnimationFrame(() => setTimeout(settle));
}

function present(item) {
  stage.show(pictures(item));
  brush?.show(item);
}

function settle() {
  current.scrollIntoView({ block: "nearest", inline: "center" });
  preload();
  lease();
}

async function step(by) {
  let item = free(by);
  if (!item && by > 0 && queue.dataset.behind) {
    const from = current;
    await extend();
    if (current !== from) return;
    item = free(by);
  }
  if (item) show(item, by);
  else announce(by > 0 ? "This was the last image" : "This is the first image here");
}

// the next image that way that nobody else looks at
function free(by) {
  let item = current;
  do item = by > 0 ? item.nextElementSibling : item.previousElementSibling;
  while (item?.dataset.held);
  return item;
}

async function nextUnreviewed() {
  for (let item = current; ; item = item.nextElementSibling) {
    if (item !== current && !item.dataset.review && !item.dataset.held) return show(item, 1);
    if (!item.nextElementSibling) await extend();
    if (!item.nextElementSibling) return announce("No image behind this one is unreviewed");
  }
}

// the images behind the last one of the queue
function extend() {
  if (!queue.dataset.behind) return Promise.resolve();
  extending ??= fetch(queue.dataset.behind, { headers: { "HX-Request": "true" } }) // looked at, not sat down at
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

// ---- leases ---------------------------------------------------------------------------------------------------
// The present image and the next ones are kept from others while this page is looked at.
function lease() {
  if (!queue.dataset.desk || document.hidden) return Promise.resolve();
  leasing = (leasing ?? Promise.resolve()).then(leaseOnce).catch(() => {}); // else the lease runs out, no more
  return leasing;
}

async function leaseOnce() {
  const items = [current, ...ahead()];
  const body = new URLSearchParams({ ordinals: items.map((item) => item.dataset.ordinal).join(",") });
  const answer = await fetch(`${queue.dataset.desk}/leases`, { method: "POST", body, headers: { "HX-Request": "true" } });
  if (!answer.ok) return;
  const { others, until: last } = await answer.json();
  until = last ?? "";
  for (const item of items) item.dataset.held = others[item.dataset.ordinal] ?? "";
  if (items[0] !== current) return;
  tellWhoElse();
  const way = moved;
  moved = 0;
  if (way && current.dataset.held && !decided.includes(current)) return step(way); // he was a moment faster
  if (items.slice(1).some((item) => item.dataset.held)) {
    preload();
    await leaseOnce();
  }
}

function tellWhoElse() {
  held.hidden = !current.dataset.held;
  held.textContent = current.dataset.held ? `${current.dataset.held} is looking at this image` : "";
}

if (queue.dataset.desk) {
  setInterval(lease, (1000 * queue.dataset.leaseS) / 3);
  document.addEventListener("visibilitychange", lease);
  addEventListener("pagehide", () => navigator.sendBeacon(`${queue.dataset.desk}/leave`, new URLSearchParams(until ? { until } : {})));
  addEventListener("pageshow", (event) => event.persisted && lease());
}

// ---- deciding -------------------------------------------------------------------------------------------------
// one after the other, so that each knows what was written before it
function write(item, makeForm) {
  writing = writing.then(async () => {
    let form;
    try {
      form = await makeForm();
    } catch {
      return failed(item, "The drawing could not be packed: nothing was written");
    }
    const { action, body } = form ?? {};
    if (!action) return announce("There is nothing to take back");
    let answer;
    const keepalive = String(body).length < LONGEST_KEPT_ALIVE;
    try {
      answer = await fetch(action, { method: "POST", body, headers: { "HX-Request": "true" }, keepalive });
    } catch {
      return failed(item, "The server does not answer: nothing was written");
    }
    if (!answer.ok && answer.status !== 412) return failed(item, `Refused with status ${answer.status}: nothing was written`);
    renew(item, await answer.text());
    if (answer.status === 412) return failed(item, "Somebody has reviewed this image meanwhile: look again");
    if (body.has("drawing")) brush.forget(item);
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
  const drawing = () => part(item, "layers").querySelector(".drawing")?.getAttribute("src");
  const before = drawing();
  item.dataset.review = said.dataset.review;
  for (const name of ["layers", "panel"]) {
    item.querySelector(`template[data-${name}]`).replaceWith(said.querySelector(`template[data-${name}]`));
  }
  if (drawing() !== before) {
    item.pictures = undefined;
    if (item === current) present(item);
  }
  if (item === current) panel.replaceChildren(part(item, "panel").cloneNode(true));
}

function decide(decision) {
  const item = current;
  const typed = new FormData(panel.querySelector("form.decide"));
  const sketch = decision === "confirmed" ? brush?.sent(item) : null;
  decided.push(item);
  item.dataset.review = decision;
  count();
  write(item, async () => {
    const form = part(item, "panel").querySelector("form.decide");
    typed.set("expected", form.elements.expected.value);
    typed.set("decision", decision);
    const drawn = await sketch;
    if (drawn) {
      typed.set("drawing_kind", drawn.kind);
      typed.set("drawing", drawn.png);
    }
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
  v: stage.showClearly,
  d: stage.toggleDrawing,
  b: () => brush?.toggle(),
  e: () => brush?.erase(),
  s: () => brush?.swap(),
  m: () => brush?.mode(),
  "[": () => brush?.resize(1 / 1.25),
  "]": () => brush?.resize(1.25),
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
  if (on.matches("textarea, select, input:not([type=range], [type=checkbox])") || !keysOn.checked) return;
  if (on.matches("[type=range]") && event.key.startsWith("Arrow")) return;
  if (event.key === " ") {
    if (on.matches("button, a, summary, [type=checkbox]")) return;
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
brush?.show(current);
preload();
lease(); // a page that was here before may have said meanwhile that it leaves

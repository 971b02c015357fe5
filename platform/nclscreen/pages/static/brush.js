// The brush: strokes on the photograph at its own coordinates, whatever the zoom. Each image keeps its sketch until
// that is sent. Null for whoever may not review.
"use strict";
const brush = document.getElementById("brush-tools") && (() => {
  const SIZES = [2, 200]; // CSS pixels across: closer up, strokes are finer
  const frame = document.getElementById("stage");
  const ring = document.getElementById("brush-ring");
  const tools = document.getElementById("brush-tools");
  const toggleButton = document.getElementById("brush");
  const size = document.getElementById("brush-size");
  const opacity = document.getElementById("brush-opacity");
  const canvas = Object.assign(document.createElement("canvas"), { className: "sketch" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "What you have drawn");
  const context = canvas.getContext("2d");
  const LABELS = { tampered: TAMPERED, authentic: AUTHENTIC, erase: UNKNOWN };
  let item = null;
  let on = false;
  let kind = "mask";
  let paints = "tampered";
  let stroke = null; // the pointer that draws, where it was last, and with which label

  // ---- what is shown ------------------------------------------------------------------------------------------
  const photograph = () => document.querySelector("#layers .photograph");
  const heatmap = () => document.querySelector("#layers .overlay");
  const drawing = () => document.querySelector("#layers .drawing");

  function tell() {
    tools.hidden = !on;
    toggleButton.setAttribute("aria-pressed", String(on));
    frame.classList.toggle("brushing", on);
    for (const each of tools.querySelectorAll("[data-kind]")) each.setAttribute("aria-pressed", String(each.dataset.kind === kind));
    for (const each of tools.querySelectorAll("[data-paints]")) each.setAttribute("aria-pressed", String(each.dataset.paints === paints));
    tools.querySelector("[data-paints=authentic]").hidden = kind === "mask";
    document.getElementById("brush-heatmap").hidden = !heatmap();
    document.getElementById("brush-drawing").hidden = !drawing();
    canvas.style.opacity = opacity.value / 100;
    if (!on) ring.hidden = true;
    stage.redraw();
  }

  function paint(box) {
    const sketch = item.sketch;
    box ??= [0, 0, sketch.width, sketch.height];
    if (box[2] > box[0] && box[3] > box[1]) context.putImageData(sketch.picture(kind, box), box[0], box[1]);
  }

  // the sketch of the present image; made when the first stroke comes
  function sketched() {
    const shown = photograph();
    if (!item || !shown?.dataset.width) return null;
    if (!item.sketch) {
      item.sketch = new Sketch(Number(shown.dataset.width), Number(shown.dataset.height));
      item.sketchKind = kind;
      place();
    }
    return item.sketch;
  }

  function place() {
    canvas.remove();
    if (!item?.sketch) return;
    canvas.width = item.sketch.width;
    canvas.height = item.sketch.height;
    document.getElementById("layers").append(canvas);
    paint();
  }

  function show(shown) {
    if (item && item !== shown && item.sketch?.past.length === 0) item.sketch = undefined;
    item = shown;
    stroke = null;
    if (item.sketch) kind = item.sketchKind;
    if (kind === "mask" && paints === "authentic") paints = "tampered";
    if (on && !photograph()?.dataset.width) on = false;
    if (on) sketched();
    place();
    tell();
  }

  // ---- strokes ------------------------------------------------------------------------------------------------
  function spot(event) {
    const box = canvas.getBoundingClientRect();
    const scale = Math.min(box.width / canvas.width, box.height / canvas.height); // as object-fit: contain does
    return {
      x: (event.clientX - box.left - (box.width - canvas.width * scale) / 2) / scale,
      y: (event.clientY - box.top - (box.height - canvas.height * scale) / 2) / scale,
      radius: size.value / 2 / scale,
    };
  }

  function draw(event) {
    const seen = event.getCoalescedEvents?.() ?? [];
    for (const each of seen.length ? seen : [event]) {
      const to = spot(each);
      paint(item.sketch.line(stroke.at, to, to.radius, stroke.label));
      stroke.at = to;
    }
  }

  canvas.addEventListener("pointerdown", (event) => {
    const erases = event.button === 2 || event.button === 5; // the right one, or a pen turned round
    if (!on || event.shiftKey || !(erases || event.button === 0)) return; // the stage moves
    event.stopPropagation();
    if (stroke) return; // another finger
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    stroke = { pointer: event.pointerId, at: spot(event), label: erases ? UNKNOWN : LABELS[paints] };
    item.sketch.begin();
    draw(event);
  });
  canvas.addEventListener("pointermove", (event) => stroke?.pointer === event.pointerId && draw(event));
  const end = (event) => {
    if (stroke?.pointer !== event.pointerId) return;
    item.sketch.end();
    stroke = null;
  };
  for (const kindOfEnd of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(kindOfEnd, end);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", (event) => event.stopPropagation());
  frame.addEventListener("pointermove", (event) => {
    ring.hidden = !on || event.pointerType === "touch";
    const box = frame.getBoundingClientRect();
    ring.style.width = ring.style.height = `${size.value}px`;
    ring.style.translate = `${event.clientX - box.left - size.value / 2}px ${event.clientY - box.top - size.value / 2}px`;
  });
  frame.addEventListener("pointerleave", () => (ring.hidden = true));

  // ---- tools --------------------------------------------------------------------------------------------------
  function toggle() {
    if (!on && !photograph()?.dataset.width) return announce("There is no photograph to draw on");
    on = !on;
    if (on) sketched();
    tell();
    announce(on ? `Brush: ${kind}, ${paints}` : "Brush off");
  }

  function choose(what) {
    paints = what;
    tell();
    announce(`Brush: ${paints}`);
  }

  function become(what) {
    kind = what;
    if (item?.sketch) item.sketchKind = kind;
    if (kind === "mask" && paints === "authentic") paints = "tampered";
    place();
    tell();
    announce(kind === "mask" ? "Mask: what is not drawn is authentic" : "Scribbles: what is not drawn is not known");
  }

  function resize(by) {
    const grown = Math.max(size.value * by, Number(size.value) + Math.sign(by - 1));
    size.value = Math.max(SIZES[0], Math.min(SIZES[1], by > 1 ? grown : size.value * by));
    announce(`Brush: ${size.value} pixels`);
  }

  function undo() {
    if (item?.sketch?.undo()) paint();
    else announce("There is no stroke to undo");
  }

  // pixels of a grey picture of the server's, (0 to 255) at the sketch's size
  async function pixels(path, smooth) {
    const sketch = sketched();
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(answer.status);
    const picture = await createImageBitmap(await answer.blob());
    const canvasOfIt = new OffscreenCanvas(sketch.width, sketch.height);
    const drawn = canvasOfIt.getContext("2d");
    drawn.imageSmoothingEnabled = smooth;
    drawn.drawImage(picture, 0, 0, sketch.width, sketch.height);
    return drawn.getImageData(0, 0, sketch.width, sketch.height).data;
  }

  async function start(path, smooth, label) {
    const of = item;
    try {
      const found = await pixels(path, smooth);
      of.sketch.fill((place) => label(found[4 * place]));
      if (of === item) paint();
    } catch {
      announce("It could not be fetched");
    }
  }

  const own = (shown, end) => shown.getAttribute("src").replace(/\/[a-z]+\?.*$/, end);
  function startFromHeatmap() {
    if (kind !== "mask") become("mask");
    return start(own(heatmap(), "/heatmap"), true, (value) => (value >= 128 ? TAMPERED : UNKNOWN));
  }
  function startFromDrawing() {
    become(drawing().dataset.kind);
    return start(own(drawing(), `/drawing?sha256=${drawing().dataset.sha256}`), false, (value) =>
      value > 191 ? TAMPERED : value > 63 ? AUTHENTIC : UNKNOWN);
  }

  toggleButton.addEventListener("click", toggle);
  opacity.addEventListener("input", tell);
  tools.addEventListener("click", (event) => {
    const { kind: asKind, paints: asPaints } = event.target.closest("button")?.dataset ?? {};
    if (asKind) become(asKind);
    if (asPaints) choose(asPaints);
  });
  document.getElementById("brush-undo").addEventListener("click", undo);
  document.getElementById("brush-clear").addEventListener("click", () => {
    sketched()?.fill(() => UNKNOWN);
    place();
  });
  document.getElementById("brush-heatmap").addEventListener("click", startFromHeatmap);
  document.getElementById("brush-drawing").addEventListener("click", startFromDrawing);
  document.addEventListener("keydown", (event) => {
    if (!on || !(event.ctrlKey || event.metaKey) || event.key !== "z" || event.target.matches("textarea")) return;
    event.preventDefault();
    undo();
  });

  return {
    show,
    toggle,
    resize,
    erase: () => on && choose(paints === "erase" ? "tampered" : "erase"),
    swap: () => on && kind === "scribbles" && choose(paints === "tampered" ? "authentic" : "tampered"),
    mode: () => on && become(kind === "mask" ? "scribbles" : "mask"),
    // what is to be sent of an image, as it is now; null where nothing was drawn
    sent: (of) => {
      const { sketch, sketchKind } = of;
      const values = sketch?.values(sketchKind);
      if (!values?.some((label) => label !== UNKNOWN)) return null;
      return greyPng(values, sketch.width, sketch.height).then(base64Of).then((png) => ({ kind: sketchKind, png }));
    },
    // it was sent
    forget: (of) => {
      of.sketch = undefined;
      if (of === item) show(item);
    },
  };
})();

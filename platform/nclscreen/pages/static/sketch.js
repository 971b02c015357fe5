// What is drawn on a photograph: a label for each pixel, strokes that can be undone, and the PNG that is sent.
"use strict";
const UNKNOWN = 0, AUTHENTIC = 128, TAMPERED = 255;
// the same as in pictures/drawn.py
const COLOURS = { [TAMPERED]: [255, 32, 110], [AUTHENTIC]: [0, 190, 255] };

class Sketch {
  static LONGEST = 2048; // pixels; the server takes no more
  static PAST = 50; // strokes that can be undone

  // width, height: of the photograph, upright
  constructor(width, height) {
    const scale = Math.min(1, Sketch.LONGEST / Math.max(width, height));
    this.width = Math.max(1, Math.round(width * scale));
    this.height = Math.max(1, Math.round(height * scale));
    this.labels = new Uint8Array(this.width * this.height);
    this.past = [];
    this.before = null; // labels as they were when the present stroke began
    this.touched = null; // what of them it has changed: left, top, right, bottom
  }

  begin() {
    this.before = this.labels.slice();
    this.touched = null;
  }

  // a straight piece of a stroke, in pixels of the drawing; gives the box in which something changed
  line(from, to, radius, label) {
    const wide = Math.max(0.75, radius); // at least the pixel that it goes through
    const box = this.clip([
      Math.floor(Math.min(from.x, to.x) - wide), Math.floor(Math.min(from.y, to.y) - wide),
      Math.ceil(Math.max(from.x, to.x) + wide) + 1, Math.ceil(Math.max(from.y, to.y) + wide) + 1,
    ]);
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = dx * dx + dy * dy || 1;
    for (let y = box[1]; y < box[3]; y++) {
      for (let x = box[0]; x < box[2]; x++) {
        const [fx, fy] = [x + 0.5 - from.x, y + 0.5 - from.y];
        const along = Math.max(0, Math.min(1, (fx * dx + fy * dy) / length));
        if ((fx - along * dx) ** 2 + (fy - along * dy) ** 2 <= wide * wide) this.labels[y * this.width + x] = label;
      }
    }
    return this.touch(box);
  }

  // all of it at once: a label for each pixel, by its place
  fill(label) {
    this.begin();
    for (let place = 0; place < this.labels.length; place++) this.labels[place] = label(place);
    this.touch([0, 0, this.width, this.height]);
    this.end();
  }

  end() {
    if (this.before && this.touched) this.past.push({ box: this.touched, labels: this.cut(this.before, this.touched) });
    if (this.past.length > Sketch.PAST) this.past.shift();
    this.before = null;
  }

  // whether there was a stroke to be undone
  undo() {
    const last = this.past.pop();
    if (!last) return false;
    const [left, top, right, bottom] = last.box;
    const row = right - left;
    for (let y = top; y < bottom; y++) {
      this.labels.set(last.labels.subarray((y - top) * row, (y - top + 1) * row), y * this.width + left);
    }
    return true;
  }

  // the labels as they are sent: a mask knows no authentic strokes, it is authentic wherever it is not tampered
  values(kind) {
    return kind === "mask" ? this.labels.map((label) => (label === TAMPERED ? TAMPERED : UNKNOWN)) : this.labels.slice();
  }

  // a box of it as it is shown
  picture(kind, [left, top, right, bottom]) {
    const picture = new ImageData(right - left, bottom - top);
    let to = 0;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++, to += 4) {
        const label = this.labels[y * this.width + x];
        if (label === UNKNOWN || (kind === "mask" && label === AUTHENTIC)) continue;
        picture.data.set(COLOURS[label], to);
        picture.data[to + 3] = 255;
      }
    }
    return picture;
  }

  touch(box) {
    const so = this.touched ?? box;
    this.touched = [Math.min(so[0], box[0]), Math.min(so[1], box[1]), Math.max(so[2], box[2]), Math.max(so[3], box[3])];
    return box;
  }

  clip([left, top, right, bottom]) {
    const into = (value, most) => Math.max(0, Math.min(most, value));
    return [into(left, this.width), into(top, this.height), into(right, this.width), into(bottom, this.height)];
  }

  cut(labels, [left, top, right, bottom]) {
    const row = right - left;
    const part = new Uint8Array(row * (bottom - top));
    for (let y = top; y < bottom; y++) {
      part.set(labels.subarray(y * this.width + left, y * this.width + right), (y - top) * row);
    }
    return part;
  }
}

// ---- PNG ------------------------------------------------------------------------------------------------------
// 8-bit grey (RFC 2083); a canvas writes colours alone
async function greyPng(values, width, height) {
  const rows = new Uint8Array((width + 1) * height); // each begins with its filter: none
  for (let y = 0; y < height; y++) rows.set(values.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits; then grey, and the only ways of packing, filtering and interlacing that are meant
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk("IHDR", new Uint8Array(header.buffer)),
    pngChunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
    pngChunk("IEND", new Uint8Array()),
  ];
  return new Blob(parts, { type: "image/png" });
}

function pngChunk(type, data) {
  const chunk = new Uint8Array(data.length + 12);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  chunk.set([...type].map((letter) => letter.charCodeAt(0)), 4);
  chunk.set(data, 8);
  view.setUint32(data.length + 8, crc32(chunk.subarray(4, data.length + 8)));
  return chunk;
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function base64Of(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

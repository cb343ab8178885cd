// @ts-check
/** The picture that an answer is about, with what was found in it (edge/studio/overlay.py): masks on it, outlines above. */

import { clock, h, number } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const MASK_COLOURS = [[47, 102, 204], [29, 122, 91], [127, 73, 181], [179, 50, 29]];

export class Picture {
  #shown = 0;

  /** @param {HTMLElement} stage @param {HTMLElement} caption @param {HTMLElement} list */
  constructor(stage, caption, list) {
    this.stage = stage;
    this.caption = caption;
    this.list = list;
    this.canvas = document.createElement("canvas");
    this.svg = document.createElementNS(SVG, "svg");
    this.canvas.setAttribute("role", "img");
    this.svg.setAttribute("aria-hidden", "true");
    this.stage.append(this.canvas, this.svg);
    this.clear();
  }

  clear() {
    this.#shown += 1;
    this.stage.hidden = true;
    this.caption.textContent = "When a question needs the camera, the picture that was chosen appears here.";
    this.list.replaceChildren();
  }

  /** @param {any} frame */
  async show(frame) {
    this.#shown += 1;
    const turn = this.#shown;
    const bytes = Uint8Array.from(atob(frame.jpeg), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" })).catch(() => null);
    if (!bitmap || turn !== this.#shown) return; // a newer one has come meanwhile
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const overlays = /** @type {any[]} */ (frame.overlays ?? []);
    overlays.filter((item) => item.rle)
      .forEach((item, index) => mask(context, item.rle, MASK_COLOURS[index % MASK_COLOURS.length]));
    this.svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    this.svg.replaceChildren(...overlays.flatMap((item, index) => this.#outline(item, index)));
    this.canvas.setAttribute("aria-label", `the camera at ${clock(frame.t_ms)}, ${overlays.length} things found in it`);
    this.caption.textContent = `frame ${frame.index} at ${clock(frame.t_ms)} · ${frame.width} × ${frame.height}`;
    this.list.replaceChildren(...overlays.map((item, index) => this.#entry(item, index)));
    this.stage.hidden = false;
  }

  /** @param {any} item @param {number} index */
  #outline(item, index) {
    const shape = item.polygon ? element("polygon", { points: item.polygon.join(" ") })
      : item.box ? element("rect", { x: item.box[0], y: item.box[1], width: item.box[2] - item.box[0],
        height: item.box[3] - item.box[1], rx: 2 }) : null;
    if (!shape) return [];
    shape.setAttribute("class", item.kind);
    shape.setAttribute("vector-effect", "non-scaling-stroke");
    shape.dataset.index = String(index);
    const title = element("title", {});
    title.textContent = item.label;
    shape.append(title);
    return [shape];
  }

  /** @param {any} item @param {number} index */
  #entry(item, index) {
    const entry = h(`li.${item.kind}`, {}, h("span", {}, item.label), h("b", {}, number(item.score, 2)));
    for (const [type, on] of /** @type {[string, boolean][]} */ ([["pointerenter", true], ["pointerleave", false]])) {
      entry.addEventListener(type, () =>
        this.svg.querySelector(`[data-index="${index}"]`)?.classList.toggle("lit", on));
    }
    return entry;
  }
}

/**
 * Lays a mask over the picture: COCO's uncompressed run lengths, down the columns, background first.
 * @param {CanvasRenderingContext2D} context @param {{size: [number, number], counts: number[]}} rle @param {number[]} colour
 */
function mask(context, { size: [height, width], counts }, colour) {
  const pixels = new ImageData(width, height);
  let at = 0;
  counts.forEach((count, run) => {
    for (const end = at + count; at < end; at += 1) {
      if (run % 2) pixels.data.set([...colour, 110], 4 * ((at % height) * width + Math.floor(at / height)));
    }
  });
  const sheet = new OffscreenCanvas(width, height);
  sheet.getContext("2d")?.putImageData(pixels, 0, 0);
  context.drawImage(sheet, 0, 0, context.canvas.width, context.canvas.height);
}

/** @param {string} name @param {Record<string, any>} attributes @returns {SVGElement} */
function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return /** @type {SVGElement} */ (made);
}

// @ts-check
/** A picture with what was found in it (edge/studio/overlay.py): masks on it, outlines and names above. */

const SVG = "http://www.w3.org/2000/svg";
/** By object, and the same as in the preview of `nearsight track` (edge/cli/masks.py). */
export const COLOURS = [[47, 102, 204], [29, 122, 91], [127, 73, 181], [179, 50, 29], [208, 112, 0], [0, 140, 150]];
const LETTERS_PX = 13;

/** @param {number} number of an object, from 1 @returns {string} */
export const colourOf = (number) => `rgb(${COLOURS[(number - 1) % COLOURS.length].join(" ")})`;

export class Sheet {
  #shown = 0;

  /** @param {HTMLElement} stage */
  constructor(stage) {
    this.stage = stage;
    this.canvas = document.createElement("canvas");
    this.svg = document.createElementNS(SVG, "svg");
    this.canvas.setAttribute("role", "img");
    this.svg.setAttribute("aria-hidden", "true");
    stage.append(this.canvas, this.svg);
  }

  clear() {
    this.#shown += 1;
    this.stage.hidden = true;
  }

  /**
   * Draws a picture; says whether it is there, and not a newer one.
   * @param {{jpeg: string, width: number, height: number, overlays?: any[]}} frame @param {string} label for screen readers
   */
  async draw(frame, label) {
    this.#shown += 1;
    const turn = this.#shown;
    const bytes = Uint8Array.from(atob(frame.jpeg), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" })).catch(() => null);
    if (!bitmap || turn !== this.#shown) return false;
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const overlays = frame.overlays ?? [];
    overlays.filter((item) => item.rle).forEach((item, index) => mask(context, item.rle, COLOURS[((item.id ?? index + 1) - 1) % COLOURS.length]));
    this.canvas.setAttribute("aria-label", label);
    this.svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    this.stage.hidden = false;
    const drawn = this.svg.querySelectorAll(".drawn"); // what the pointer is drawing goes on from picture to picture
    this.svg.replaceChildren(...overlays.flatMap((item, index) => this.#outline(item, index, frame)), ...drawn);
    return true;
  }

  /** Where an event of the pointer lies in the picture, in shares of it. @param {PointerEvent} event @returns {[number, number]} */
  place(event) {
    const { width, height } = this.svg.viewBox.baseVal;
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM()?.inverse());
    return [clip(x / width), clip(y / height)];
  }

  /** @param {any} item @param {number} index @param {{width: number, height: number}} frame */
  #outline(item, index, frame) {
    const shape = item.polygon ? element("polygon", { points: item.polygon.join(" ") })
      : item.box ? element("rect", { ...corners(item.box), rx: 2 }) : null;
    if (!shape) return [];
    shape.setAttribute("class", `on-${item.kind}`);
    shape.setAttribute("vector-effect", "non-scaling-stroke");
    shape.dataset.index = String(index);
    const title = element("title", {});
    title.textContent = item.label;
    shape.append(title);
    if (item.kind !== "track") return [shape];
    shape.dataset.state = item.sure ? item.state : "unsure";
    shape.style.setProperty("--box", colourOf(item.id));
    return [shape, this.#name(item, frame)];
  }

  /** The number and the name of a followed object, above its box or, where there is no room, in it. @param {any} item @param {{width: number, height: number}} frame */
  #name(item, { width }) {
    const size = LETTERS_PX / (this.svg.getScreenCTM()?.a || 1);
    const [x0, y0, x1] = item.box;
    const right = x0 > width * 0.75;
    const text = element("text", { "font-size": size, x: right ? Math.min(x1, width) : Math.max(0, x0),
      y: y0 > size * 1.3 ? y0 - size * 0.35 : y0 + size * 1.1, "text-anchor": right ? "end" : "start" });
    text.textContent = nameOf(item);
    return text;
  }
}

/** @param {{id: number, label: string, state: string, sure: boolean}} track */
export function nameOf({ id, label, state, sure }) {
  return `${id}${label ? ` ${label}` : ""}${state === "lost" ? " (lost)" : sure ? "" : " (?)"}`;
}

/** @param {number[]} box */
export function corners([x0, y0, x1, y1]) {
  return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
}

/** @param {string} name @param {Record<string, any>} attributes @returns {SVGElement} */
export function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return /** @type {SVGElement} */ (made);
}

/** @param {number} share */
function clip(share) {
  return Math.min(1, Math.max(0, share));
}

/**
 * Lays a mask over the picture: COCO's uncompressed run lengths, down the columns, background first.
 * @param {CanvasRenderingContext2D} context @param {{size: [number, number], counts: number[]}} rle @param {number[]} colour
 */
function mask(context, { size: [height, width], counts }, [red, green, blue]) {
  const image = new ImageData(width, height);
  const pixels = new DataView(image.data.buffer);
  const colour = ((red << 24) | (green << 16) | (blue << 8) | 110) >>> 0;
  let at = 0;
  counts.forEach((count, run) => {
    const end = at + count;
    if (run % 2) for (let one = at; one < end; one += 1) pixels.setUint32(4 * ((one % height) * width + Math.floor(one / height)), colour);
    at = end;
  });
  const sheet = new OffscreenCanvas(width, height);
  sheet.getContext("2d")?.putImageData(image, 0, 0);
  context.drawImage(sheet, 0, 0, context.canvas.width, context.canvas.height);
}

// @ts-check
/** The picture that was asked about, the translation of each line of text painted over the line itself. */

import { h } from "./dom.js";
import { englishName } from "./languages.js";
import { SIGN } from "./messages.js";
import { element } from "./sheet.js";

/**
 * @typedef {{text: string, translation: string, box: [number, number, number, number], angle: number}} SignLine
 * @typedef {{x: number, y: number, width: number, height: number}} Place the middle of a line, and its size before it was turned
 */

/** Shares of a line's height: what letters take at most and at least, and from one line to the next. */
const LARGEST = 0.82;
const SMALLEST = 0.2;
const LEADING = 1.12;

export class Sign {
  /** @type {{key: string, lines: SignLine[][]}} the parts that have come of the newest */ #parts = { key: "", lines: [] };

  /**
   * Takes the event, or one part of it; gives what is shown of it once it is whole.
   * @param {any} event
   * @returns {Promise<HTMLElement|null>}
   */
  async take(event) {
    const { t_ms: at, picture, part = 0, parts = 1, lines } = event;
    const key = `${at}/${picture}`;
    if (this.#parts.key !== key) this.#parts = { key, lines: [] };
    this.#parts.lines[part] = lines;
    if (this.#parts.lines.filter(Boolean).length < parts) return null;
    const all = this.#parts.lines.flat();
    this.#parts = { key: "", lines: [] };
    return shown(event, all, await fetched(picture));
  }

  /** @param {HTMLElement} item */
  enlarge(item) {
    large(item, true);
  }
}

/** @param {number} picture */
async function fetched(picture) {
  try {
    const answer = await fetch(`/picture/${picture}`);
    return answer.ok ? await createImageBitmap(await answer.blob()) : null;
  } catch {
    return null; // the connection went, or the picture is no longer kept: the lines alone tell something too
  }
}

/** @param {any} event @param {SignLine[]} lines @param {ImageBitmap|null} bitmap */
function shown({ language, width, height }, lines, bitmap) {
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { width: bitmap?.width ?? width, height: bitmap?.height ?? height }));
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  if (bitmap) pen.drawImage(bitmap, 0, 0);
  else pen.fillStyle = "#f1efeb", pen.fillRect(0, 0, canvas.width, canvas.height);
  bitmap?.close();
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", lang: language });
  svg.append(...lines.map((line) => painted(line, pen, canvas.width / width)));
  const stage = h("button.stage", { type: "button", "aria-label": SIGN.translation, "aria-pressed": "true" }, canvas, svg);
  const bigger = h("button.button.bigger", { type: "button", "aria-expanded": "false" }, SIGN.large);
  const words = h("ul.unseen", { lang: language }, ...lines.map(({ translation }) => h("li", {}, translation)));
  const caption = h("figcaption", {}, h("span", {}, SIGN.caption(englishName(language))), bigger);
  const item = h("li.sign", {}, h("figure", {}, stage, caption, words));
  stage.addEventListener("click", () => {
    const on = item.toggleAttribute("data-original");
    stage.setAttribute("aria-pressed", String(!on));
    stage.setAttribute("aria-label", on ? SIGN.original : SIGN.translation);
  });
  bigger.addEventListener("click", () => large(item, !item.hasAttribute("data-large")));
  item.addEventListener("keydown", (event) => event.key === "Escape" && large(item, false));
  return item;
}

/** @param {HTMLElement} item @param {boolean} on */
function large(item, on) {
  item.toggleAttribute("data-large", on);
  const button = /** @type {HTMLElement} */ (item.querySelector(".bigger"));
  button.textContent = on ? SIGN.small : SIGN.large;
  button.setAttribute("aria-expanded", String(on));
  if (on) button.focus({ preventScroll: true });
}

/** @param {SignLine} line @param {CanvasRenderingContext2D} pen of the picture @param {number} scale of the picture to the boxes */
function painted({ text, translation, box, angle }, pen, scale) {
  const place = upright(box, angle);
  const ground = around(pen, box.map((value) => value * scale));
  const { size, rows } = fitted(translation, place);
  const group = element("g", { transform: `rotate(${angle} ${place.x} ${place.y})`, "data-line": text });
  const left = place.x - place.width / 2;
  group.append(element("rect", { x: left, y: place.y - place.height / 2, width: place.width, height: place.height,
    rx: place.height * 0.08, fill: `rgb(${ground.join(" ")})` }));
  rows.forEach((row, index) => {
    const y = place.y + (index - (rows.length - 1) / 2) * size * LEADING;
    const words = element("text", { x: place.x, y, "font-size": size, fill: dark(ground) ? "#fff" : "#000", "text-anchor": "middle",
      "dominant-baseline": "central" });
    words.textContent = row;
    group.append(words);
  });
  return group;
}

/**
 * Turns a line's enclosing box back: it is as wide as |w cos| + |h sin| and as high as |w sin| + |h cos| of the line's own size.
 * @param {number[]} box @param {number} angle in degrees @returns {Place}
 */
export function upright([x0, y0, x1, y1], angle) {
  const [wide, high] = [x1 - x0, y1 - y0];
  const [c, s] = [Math.abs(Math.cos((angle * Math.PI) / 180)), Math.abs(Math.sin((angle * Math.PI) / 180))];
  const apart = c * c - s * s;
  let [width, height] = [(wide * c - high * s) / apart, (high * c - wide * s) / apart];
  // Near 45 degrees the box says nothing of the line's shape, and a box that was cut at the edge may say nonsense.
  if (Math.abs(apart) < 0.2 || width <= 0 || height <= 0) [width, height] = [Math.max(wide, high), Math.min(wide, high) / 3];
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, width, height };
}

/** The largest letters with which a text fits, in one row or more. @param {string} text @param {Place} place */
export function fitted(text, { width, height }) {
  const pen = /** @type {CanvasRenderingContext2D} */ (measuring.getContext("2d"));
  pen.font = `600 100px ${getComputedStyle(document.body).fontFamily}`;
  const wide = (/** @type {string} */ row) => pen.measureText(row).width / 100;
  const room = width * 0.96;
  for (let share = LARGEST; ; share *= 0.95) {
    const size = Math.max(share, SMALLEST) * height;
    const rows = wrapped(text, room / size, wide);
    const fits = rows.length * size * LEADING <= height * 1.05 && rows.every((row) => wide(row) * size <= room);
    if (fits) return { size, rows };
    if (share <= SMALLEST) return { size: Math.min(size, room / Math.max(...rows.map(wide))), rows: rows.slice(0, Math.floor(1 / SMALLEST / LEADING)) };
  }
}

const measuring = document.createElement("canvas");

/** @param {string} text @param {number} room in letters' heights @param {(row: string) => number} wide @returns {string[]} */
function wrapped(text, room, wide) {
  const atoms = text.includes(" ") ? text.split(/(?<=\s)/) : [...text]; // scripts without spaces break anywhere
  const rows = [""];
  for (const atom of atoms) {
    if (rows[rows.length - 1] && wide((rows[rows.length - 1] + atom).trimEnd()) > room) rows.push("");
    rows[rows.length - 1] += atom;
  }
  return rows.map((row) => row.trim()).filter(Boolean);
}

/** The colour around a line, channel by channel in the middle of what lies on its box's edge. @param {CanvasRenderingContext2D} pen @param {number[]} box */
function around(pen, [x0, y0, x1, y1]) {
  const { width, height } = pen.canvas;
  const [left, top] = [Math.max(0, Math.floor(x0)), Math.max(0, Math.floor(y0))];
  const [wide, high] = [Math.min(width, Math.ceil(x1)) - left, Math.min(height, Math.ceil(y1)) - top];
  if (wide < 1 || high < 1) return [241, 239, 235];
  const { data } = pen.getImageData(left, top, wide, high);
  /** @type {number[]} */
  const edge = [];
  for (let x = 0; x < wide; x += 1) edge.push(x, (high - 1) * wide + x);
  for (let y = 0; y < high; y += 1) edge.push(y * wide, y * wide + wide - 1);
  return [0, 1, 2].map((channel) => edge.map((at) => data[4 * at + channel]).sort((a, b) => a - b)[edge.length >> 1]);
}

/** Whether white is read better on a colour than black (WCAG's relative luminance). @param {number[]} colour */
function dark(colour) {
  const [red, green, blue] = colour.map((value) => (value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179;
}

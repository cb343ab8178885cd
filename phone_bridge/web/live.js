// @ts-check
/**
 * What the camera sees now, with what is followed in it: a click or a drag on it begins to follow.
 *
 * The page asks for each picture when it can show one (edge/studio/live.py): none waits in the network, and a page in the
 * background asks for none.
 */

import { clock, h, number } from "./dom.js";
import { desk, Refusal } from "./feed.js";
import { colourOf, corners, element, nameOf, Sheet } from "./sheet.js";
import { attempt } from "./workshop.js";

/** Between two pictures, in milliseconds: while something is followed, and else. */
const PACE = { following: 200, idle: 500, away: 2000 };
/** A pointer that moved by less was a click. */
const DRAG_PX = 6;
/** A picture that is older was not taken now. */
const OLD_MS = 2000;

export class Live {
  #wearer = "";
  #key = "";
  #tracks = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;
  #asking = 0;
  /** @type {{picture: string, at: [number, number], x: number, y: number}|null} where the pointer went down */ #from = null;
  /** @type {Map<string, HTMLElement>} */ #rows = new Map();

  /** @param {{stage: HTMLElement, caption: HTMLElement, age: HTMLElement, list: HTMLElement, alert: HTMLElement,
   *   tools: HTMLElement, middle: HTMLButtonElement}} parts */
  constructor({ stage, caption, age, list, alert, tools, middle }) {
    this.sheet = new Sheet(stage);
    this.stage = stage;
    this.caption = caption;
    this.age = age;
    this.list = list;
    this.alert = alert;
    this.tools = tools;
    stage.append(age);
    const { svg } = this.sheet;
    svg.addEventListener("pointerdown", (event) => this.#press(event));
    svg.addEventListener("pointermove", (event) => this.#drag(event));
    svg.addEventListener("pointerup", (event) => this.#release(event));
    svg.addEventListener("pointercancel", () => this.#let());
    middle.addEventListener("click", () => this.#follow(this.#key, { x: 0.5, y: 0.5 }));
    document.addEventListener("visibilitychange", () => document.hidden || this.#soon(0));
    this.clear();
  }

  clear() {
    this.#key = "";
    this.#rows.clear();
    this.sheet.clear();
    this.list.replaceChildren();
    this.alert.textContent = "";
    this.#say(null);
  }

  /** Whose camera it is; empty for nobody's. @param {string} wearer */
  set wearer(wearer) {
    if (wearer === this.#wearer) return;
    this.#wearer = wearer;
    this.#asking += 1;
    this.clear();
    this.#soon(0);
  }

  get following() {
    return this.#tracks > 0;
  }

  // -- pictures ----------------------------------------------------------------------------------------------------------

  /** @param {number} wait */
  #soon(wait) {
    clearTimeout(this.#timer);
    if (this.#wearer && !document.hidden) this.#timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    const asked = this.#asking += 1;
    const began = performance.now();
    let pace = PACE.idle;
    try {
      const told = await desk("look", { wearer: this.#wearer, after: this.#key });
      if (asked !== this.#asking) return; // another wearer was chosen meanwhile
      await this.#show(told);
      if (told.tracks.length) pace = PACE.following;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      pace = PACE.away; // the feed tells why
    }
    if (asked === this.#asking) this.#soon(Math.max(20, pace - (performance.now() - began)));
  }

  /** @param {{tracks: any[], watches: any[], age_ms?: number, picture?: any}} told */
  async #show({ tracks, watches, age_ms: age, picture }) {
    this.#tracks = tracks.length;
    this.#entries([...tracks.map((track) => this.#track(track)), ...watches.map((watch) => this.#watch(watch))]);
    if (picture === null) return this.#say(null);
    if (picture) {
      this.#key = picture.key;
      const seen = tracks.map((/** @type {any} */ track) => `following ${nameOf(track)}`);
      const label = `the camera at ${clock(picture.t_ms)}${seen.length ? `: ${seen.join(", ")}` : ""}`;
      await this.sheet.draw(picture, label);
      this.stage.dataset.frame = String(picture.index);
      this.caption.textContent = `frame ${picture.index} at ${clock(picture.t_ms)} · ${picture.width} × ${picture.height}`;
    }
    this.#say(age ?? null);
  }

  /** @param {number|null} age of the picture in milliseconds; null: there is none */
  #say(age) {
    this.tools.hidden = age === null;
    if (age === null) {
      this.sheet.clear();
      this.caption.textContent = this.#wearer ? "No picture has come from the camera." : "The camera's picture appears here.";
      return;
    }
    this.stage.classList.toggle("old", age > OLD_MS);
    this.age.textContent = age > OLD_MS ? `${number(age / 1000)} s old` : `${number(age)} ms`;
  }

  // -- what is followed and watched ----------------------------------------------------------------------------------------

  /** @param {{key: string, kind: string, colour: string, text: string, more: string, stop: string, command: string, id: number}[]} wanted */
  #entries(wanted) {
    for (const [key, row] of this.#rows) {
      if (wanted.some((entry) => entry.key === key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    for (const entry of wanted) {
      const row = this.#rows.get(entry.key) ?? this.#row(entry);
      const [, text, more] = /** @type {HTMLElement[]} */ ([...row.children]);
      row.className = entry.kind;
      if (text.textContent !== entry.text) text.textContent = entry.text;
      if (more.textContent !== entry.more) more.textContent = entry.more;
    }
  }

  /** @param {{key: string, colour: string, stop: string, command: string, id: number}} entry */
  #row({ key, colour, stop, command, id }) {
    const chip = h("i", { "aria-hidden": "true" });
    chip.style.background = colour;
    const button = h("button.small", { type: "button", "aria-label": stop }, "Stop");
    button.addEventListener("click", () => attempt(this.alert, async () => {
      await desk(command, { wearer: this.#wearer, id });
      this.#soon(0);
    }));
    const row = h("li", {}, chip, h("span"), h("small"), button);
    this.#rows.set(key, row);
    this.list.append(row);
    return row;
  }

  /** @param {any} track */
  #track(track) {
    const { id, label, state, sure, unseen_ms: unseen } = track;
    const more = state === "lost" ? `lost for ${number(unseen / 1000)} s` : sure ? "followed" : "may be another one";
    return { key: `track ${id}`, kind: state, colour: colourOf(id), text: `${id}${label ? ` ${label}` : ""}`, more,
      stop: `Stop following ${id}${label ? ` ${label}` : ""}`, command: "unfollow", id };
  }

  /** @param {any} watch */
  #watch({ id, what, label, words, object }) {
    const thing = label || (object ? `object ${object}` : "anything");
    return { key: `watch ${id}`, kind: "watched", colour: "var(--think)", text: words || `${thing} ${what}`, more: "watched",
      stop: `End watch ${id}`, command: "unwatch", id };
  }

  // -- the pointer ---------------------------------------------------------------------------------------------------------

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button || !event.isPrimary) return;
    event.preventDefault();
    this.sheet.svg.setPointerCapture(event.pointerId);
    this.#from = { picture: this.#key, at: this.sheet.place(event), x: event.clientX, y: event.clientY };
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!this.#from || !this.#dragged(event)) return;
    const { width, height } = this.sheet.svg.viewBox.baseVal;
    const [x0, y0, x1, y1] = box(this.#from.at, this.sheet.place(event));
    this.sheet.svg.querySelector(".drawn")?.remove();
    this.sheet.svg.append(element("rect", { class: "drawn", "vector-effect": "non-scaling-stroke",
      ...corners([x0 * width, y0 * height, x1 * width, y1 * height]) }));
  }

  /** @param {PointerEvent} event */
  #release(event) {
    const from = this.#from;
    if (!from) return;
    const dragged = this.#dragged(event);
    const to = this.sheet.place(event);
    this.#let();
    if (!dragged) return this.#follow(from.picture, { x: from.at[0], y: from.at[1] });
    const [x0, y0, x1, y1] = box(from.at, to);
    if (x1 > x0 && y1 > y0) this.#follow(from.picture, { x0, y0, x1, y1 });
  }

  /** @param {PointerEvent} event */
  #dragged(event) {
    return this.#from !== null && Math.hypot(event.clientX - this.#from.x, event.clientY - this.#from.y) >= DRAG_PX;
  }

  #let() {
    this.#from = null;
    this.sheet.svg.querySelector(".drawn")?.remove();
  }

  /** @param {string} picture @param {Record<string, number>} prompt in shares of the picture */
  #follow(picture, prompt) {
    attempt(this.alert, async () => {
      await desk("follow", { wearer: this.#wearer, picture, ...prompt });
      this.#soon(0);
    });
  }
}

/** @param {[number, number]} one @param {[number, number]} other @returns {number[]} */
function box([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

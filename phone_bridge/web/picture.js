// @ts-check
/** The picture that an answer is about, with what was found in it. */

import { clock, h, number } from "./dom.js";
import { Sheet } from "./sheet.js";

export class Picture {
  /** @param {HTMLElement} stage @param {HTMLElement} caption @param {HTMLElement} list */
  constructor(stage, caption, list) {
    this.sheet = new Sheet(stage);
    this.caption = caption;
    this.list = list;
    this.clear();
  }

  clear() {
    this.sheet.clear();
    this.caption.textContent = "When a question needs the camera, the picture that was chosen appears here.";
    this.list.replaceChildren();
  }

  /** @param {any} frame */
  async show(frame) {
    const overlays = /** @type {any[]} */ (frame.overlays ?? []);
    const label = `the camera at ${clock(frame.t_ms)}, ${overlays.length} things found in it`;
    if (!(await this.sheet.draw(frame, label))) return;
    this.caption.textContent = `frame ${frame.index} at ${clock(frame.t_ms)} · ${frame.width} × ${frame.height}`;
    this.list.replaceChildren(...overlays.map((item, index) => this.#entry(item, index)));
  }

  /** @param {any} item @param {number} index */
  #entry(item, index) {
    const entry = h(`li.${item.kind}`, {}, h("span", {}, item.label), h("b", {}, number(item.score, 2)));
    for (const [type, on] of /** @type {[string, boolean][]} */ ([["pointerenter", true], ["pointerleave", false]])) {
      entry.addEventListener(type, () =>
        this.sheet.svg.querySelector(`[data-index="${index}"]`)?.classList.toggle("lit", on));
    }
    return entry;
  }
}

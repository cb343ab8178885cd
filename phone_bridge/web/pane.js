// @ts-check
/** What one of two people reads: the conversation in their language, its newest sentence large. */

import { h } from "./dom.js";
import { primary } from "./languages.js";

/** @typedef {import("./transcript.js").Row} Row */
const SHOWN = 12;

/** The text of a sentence in a side's language. @param {Row} row @param {"wearer"|"partner"} side @param {string} language */
export function textFor(row, side, language) {
  if (row.speaker) return row.speaker === side ? row.source : row.target;
  return [row.source, row.target].find((text) => text.language && primary(text.language) === primary(language)) ?? row.target;
}

/** Fills an element with what stands for good and, marked, with the guess at what follows.
 * @param {HTMLElement} place @param {import("./transcript.js").Side} side
 */
export function write(place, { language, text, tail, final }) {
  if (language) place.lang = language;
  place.dir = "auto"; // by the text itself
  const guess = final ? "" : tail;
  const settled = place.firstElementChild ?? place.appendChild(h("span"));
  const open = place.children[1] ?? place.appendChild(h("span.tail"));
  const spaced = text && guess && !/\s$/.test(text) && !/^\s/.test(guess) ? `${text} ` : text;
  if (settled.textContent !== spaced) settled.textContent = spaced;
  if (open.textContent !== guess) open.textContent = guess;
}

export class Pane {
  /** @type {Map<string, HTMLElement>} */ #places = new Map();

  /** @param {HTMLElement} list @param {"wearer"|"partner"} side */
  constructor(list, side) {
    this.list = list;
    this.side = side;
  }

  clear() {
    this.#places.clear();
    this.list.replaceChildren();
  }

  /** Shows a sentence that has changed. @param {Row} row @param {string} language of this side */
  show(row, language) {
    const text = textFor(row, this.side, language);
    if (!text.text && !text.tail) return;
    let place = this.#places.get(row.key);
    if (!place) {
      place = h("p.line");
      this.#places.set(row.key, place);
      this.list.append(place);
      if (this.#places.size > SHOWN) {
        const [oldest] = this.#places;
        oldest[1].remove();
        this.#places.delete(oldest[0]);
      }
    }
    place.toggleAttribute("data-own", row.speaker === this.side);
    write(place, text);
    this.list.scrollTop = this.list.scrollHeight;
  }
}

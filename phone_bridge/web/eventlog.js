// @ts-check
/** The event log: every row as it came, to filter, to hold still, never longer than the page can bear. */

import { clock, h } from "./dom.js";

const SHOWN = 500;
/** Fields whose values speak for themselves. */
const PLAIN = ["text", "state", "reason", "transcript", "code"];
const HELD = 2000;

export class EventLog {
  /** @type {{time: string, kind: string, text: string}[]} what came while it was held */ #waiting = [];
  #dropped = 0;
  #held = false;
  #filter = "";
  #atEnd = true;

  /** @param {HTMLElement} list @param {HTMLInputElement} filter @param {HTMLButtonElement} hold @param {HTMLElement} count */
  constructor(list, filter, hold, count) {
    this.list = list;
    this.holder = hold;
    this.count = count;
    filter.addEventListener("input", () => {
      this.#filter = filter.value.trim().toLowerCase();
      for (const row of this.#rows()) row.hidden = !this.#matches(row);
      this.#say();
      this.list.scrollTop = this.list.scrollHeight;
    });
    hold.addEventListener("click", () => this.hold(!this.#held));
    this.list.addEventListener("scroll", () => {
      this.#atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
    });
  }

  clear() {
    this.#waiting = [];
    this.#dropped = 0;
    this.list.replaceChildren();
    this.#say();
  }

  /** @param {boolean} held */
  hold(held) {
    this.#held = held;
    this.holder.setAttribute("aria-pressed", String(held));
    if (!held) {
      if (this.#dropped) this.#append({ time: "", kind: "missed", text: `${this.#dropped} rows came while this was held` });
      for (const row of this.#waiting) this.#append(row);
      this.#waiting = [];
      this.#dropped = 0;
    }
    this.#say();
  }

  /** @param {any} event a session's event */
  event(event) {
    const { event: kind, t_ms: at, ...rest } = event;
    this.add(clock(at), kind, brief(rest));
  }

  /** @param {string} time @param {string} kind @param {string} text */
  add(time, kind, text) {
    const row = { time, kind, text };
    if (!this.#held) this.#append(row);
    else if (this.#waiting.push(row) > HELD) {
      this.#waiting.shift();
      this.#dropped += 1;
    }
    this.#say();
  }

  /** @param {{time: string, kind: string, text: string}} row */
  #append({ time, kind, text }) {
    const made = h("li", {}, h("time", {}, time), h(`b.kind-${kind}`, {}, kind.replaceAll("_", " ")), h("span", {}, text));
    made.hidden = !this.#matches(made);
    this.list.append(made);
    while (this.list.children.length > SHOWN) this.list.firstElementChild?.remove();
    if (this.#atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {HTMLElement} row */
  #matches(row) {
    return !this.#filter || (row.textContent ?? "").toLowerCase().includes(this.#filter);
  }

  #rows() {
    return /** @type {HTMLElement[]} */ ([...this.list.children]);
  }

  #say() {
    const waiting = this.#waiting.length + this.#dropped;
    const shown = this.#filter ? `${this.#rows().filter((row) => !row.hidden).length} of ${this.list.children.length}` : "";
    this.count.textContent = this.#held ? `held, ${waiting} waiting` : shown;
  }
}

/** @param {Record<string, any>} fields */
function brief(fields) {
  return Object.entries(fields)
    .filter(([key, value]) => key !== "words" && value !== null && value !== "" && !(Array.isArray(value) && !value.length))
    .map(([key, value]) => [key, typeof value === "object" ? JSON.stringify(value) : value])
    .map(([key, value]) => (PLAIN.includes(key) ? value : `${key} ${value}`))
    .join(" · ") || "none";
}

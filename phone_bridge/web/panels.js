// @ts-check
/** Tables of what moves: channels, lanes, the link's counters. Rows are made once and their cells changed in place. */

import { h, number, words } from "./dom.js";

/** Units and digits of the counters whose names tell their unit. @type {[RegExp, string, number][]} */
const UNITS = [[/_ms$/, "ms", 1], [/_s$/, "s", 2], [/_mb$/, "MB", 0], [/_kbps$/, "kbit/s", 0]];

/** A table whose rows are known by their first cell. */
export class Table {
  /** @type {Map<string, HTMLElement[]>} */ #rows = new Map();

  /** @param {HTMLTableSectionElement} body */
  constructor(body) {
    this.body = body;
  }

  clear() {
    this.#rows.clear();
    this.body.replaceChildren();
  }

  /** @param {string} name @param {(string|Node)[]} values @param {string} [mood] */
  set(name, values, mood = "") {
    let cells = this.#rows.get(name);
    if (!cells) {
      cells = values.map(() => h("td"));
      this.#rows.set(name, cells);
      this.body.append(h("tr", {}, h("th", { scope: "row" }, words(name)), ...cells));
    }
    const row = /** @type {HTMLElement} */ (cells[0].parentElement);
    if (row.className !== mood) row.className = mood;
    values.forEach((value, index) => {
      const cell = /** @type {HTMLElement[]} */ (cells)[index];
      if (value instanceof Node) {
        if (cell.firstChild !== value) cell.replaceChildren(value);
      } else if (cell.textContent !== value) cell.textContent = value;
    });
  }
}

export class Panels {
  /** @type {Map<string, HTMLMeterElement>} */ #fills = new Map();
  /** @type {Map<string, number>} a lane that was busy a moment ago is shown so: most jobs are shorter than a reading */
  #busy = new Map();

  /** @param {{channels: HTMLTableSectionElement, lanes: HTMLTableSectionElement, link: HTMLTableSectionElement}} bodies */
  constructor({ channels, lanes, link }) {
    this.channels = new Table(channels);
    this.lanes = new Table(lanes);
    this.link = new Table(link);
  }

  clear() {
    for (const table of [this.channels, this.lanes, this.link]) table.clear();
    this.#fills.clear();
    this.#busy.clear();
  }

  /** @param {any} meters @param {Record<string, {engine: string, model: string}>} engines */
  measure(meters, engines) {
    for (const { name, depth, capacity, dropped } of meters.channels ?? []) {
      // The camera's channel drops by design: the newest picture is what matters.
      const fill = this.#fill(name, capacity);
      fill.value = depth;
      this.channels.set(name, [fill, `${depth} / ${capacity}`, String(dropped)], dropped && name !== "camera" ? "bad" : "");
    }
    for (const { name, busy, replaced } of meters.lanes ?? []) {
      if (busy) this.#busy.set(name, performance.now());
      const lately = performance.now() - (this.#busy.get(name) ?? -1e9) < 400;
      const { engine = "", model = "" } = engines[name] ?? {};
      this.lanes.set(name, [[engine, model].filter(Boolean).join(" "), lately ? "busy" : "free", String(replaced)],
        replaced ? "bad" : lately ? "busy" : "");
    }
    this.link.set("sink_delay", [`${number(meters.sink_delay_ms)} ms`]);
    this.link.set("speaker_queue", [`${number(meters.speaker_s, 2)} s`]);
    for (const [name, value] of Object.entries(meters.link ?? {})) {
      const [, unit, digits] = UNITS.find(([ending]) => ending.test(name)) ?? [null, "", Number.isInteger(value) ? 0 : 2];
      this.link.set(name.replace(/_(ms|s|mb|kbps)$/, ""), [`${number(/** @type {number} */ (value), digits)} ${unit}`.trim()]);
    }
  }

  /** @param {string} name @param {number} capacity */
  #fill(name, capacity) {
    const known = this.#fills.get(name);
    if (known) return known;
    const made = /** @type {HTMLMeterElement} */ (h("meter", { min: 0, max: capacity, high: capacity * 0.75,
      "aria-label": `${words(name)} channel` }));
    this.#fills.set(name, made);
    return made;
  }
}

// @ts-check
/**
 * Where the time of each turn went, from the last sample of speech to the first sample at the ear.
 *
 * The marks of a turn, sorted by time, cut the whole into stretches: the bars of a turn sum to its voice_to_voice, whichever
 * stage came first. The final transcript is often there before the endpoint: work begins at the first hint of silence.
 */

import { h, number } from "./dom.js";

const STAGES = {
  asr_final: ["words final", "hear"],
  endpoint: ["endpoint decided", "hear"],
  first_token: ["first token", "think"],
  first_sentence: ["first sentence", "think"],
  first_audio: ["voice ready", "speak"],
  voice_to_voice: ["at the ear", "speak"],
};
const KEPT = 60;

/**
 * Cuts a turn's time into its stretches.
 * @param {Record<string, number>} timings milliseconds from the end of speech
 * @returns {{key: string, label: string, kind: string, from: number, to: number}[]}
 */
export function stretches(timings) {
  const marks = Object.entries(STAGES)
    .filter(([key]) => typeof timings[key] === "number")
    .map(([key, [label, kind]]) => ({ key, label, kind, at: Math.max(0, timings[key]) }))
    .sort((one, two) => one.at - two.at);
  return marks.map(({ key, label, kind, at }, index) => ({ key, label, kind, from: index ? marks[index - 1].at : 0, to: at }));
}

export class Waterfall {
  /** @type {number[]} */ #totals = [];
  #longest = 1;
  /** The turn that was opened by hand; the newest is open otherwise. @type {HTMLDetailsElement|null} */ #chosen = null;

  /** @param {HTMLElement} list @param {HTMLElement} summary */
  constructor(list, summary) {
    this.list = list;
    this.summary = summary;
    this.clear();
  }

  clear() {
    this.#totals = [];
    this.#longest = 1;
    this.#chosen = null;
    this.list.replaceChildren(h("p.none", {}, "No turn yet. Ask something."));
    this.summary.textContent = "";
  }

  /** @param {any} event */
  event(event) {
    if (event.event !== "turn") return;
    if (!this.#totals.length && !this.list.querySelector("details")) this.list.replaceChildren();
    const timings = event.timings_ms ?? {};
    const whole = timings.voice_to_voice;
    if (typeof whole === "number") {
      this.#totals.push(whole);
      if (this.#totals.length > 1000) this.#totals.shift();
      this.summary.textContent = summary(this.#totals);
    }
    const parts = stretches(timings);
    this.#longest = Math.max(this.#longest, ...parts.map((part) => part.to));
    this.list.style.setProperty("--whole", String(this.#longest));
    const turn = this.#turn(event, parts, whole);
    for (const other of this.list.querySelectorAll("details")) {
      if (other !== this.#chosen) other.open = false;
    }
    turn.open = true;
    this.list.prepend(turn);
    while (this.list.children.length > KEPT) this.list.lastElementChild?.remove();
  }

  /** @param {any} event @param {ReturnType<typeof stretches>} parts @param {number|undefined} whole */
  #turn(event, parts, whole) {
    const longest = Math.max(1, ...parts.map((part) => part.to));
    const turn = /** @type {HTMLDetailsElement} */ (h("details.turn", {},
      h("summary", {},
        h("span.number", {}, event.turn),
        h("span.question", { title: event.transcript }, event.transcript || "…"),
        h("span.total", {}, typeof whole === "number" ? `${number(whole)} ms` : event.interrupted ? "cut" : "silent"),
        h("span.strip", { "aria-hidden": "true" }, ...parts.map(bar))),
      parts.length ? table(parts, longest) : h("p.none", {}, "Nothing was measured: the turn made no sound.")));
    turn.firstElementChild?.addEventListener("click", () => {
      this.#chosen = turn.open ? null : turn;
    });
    return turn;
  }
}

/** @param {ReturnType<typeof stretches>[number]} part */
function bar(part) {
  const made = h(`i.${part.kind}`, { title: `${part.label}: ${number(part.to - part.from, 1)} ms` });
  made.style.setProperty("--from", String(part.from));
  made.style.setProperty("--ms", String(part.to - part.from));
  return made;
}

/** The waterfall is a table: who cannot see the bars reads the same numbers.
 * @param {ReturnType<typeof stretches>} parts @param {number} longest
 */
function table(parts, longest) {
  const rows = parts.map((part) => h("tr", { title: `${part.label}: from ${number(part.from, 1)} to ${number(part.to, 1)} ms` },
    h("th", { scope: "row" }, part.label),
    h("td.run", {}, h("span.track", { "aria-hidden": "true" }, bar(part))),
    h("td.ms", {}, `+${number(part.to - part.from, part.to - part.from < 9.95 ? 1 : 0)}`),
    h("td.ms.at", {}, number(part.to))));
  const made = h("table.waterfall", {},
    h("caption.unseen", {}, "Milliseconds from the last sample of speech"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "until"), h("td", {}),
      h("th.ms", { scope: "col" }, "ms"), h("th.ms", { scope: "col" }, "at"))),
    h("tbody", {}, ...rows));
  made.style.setProperty("--whole", String(longest));
  return made;
}

/** @param {number[]} totals */
function summary(totals) {
  const sorted = [...totals].sort((one, two) => one - two);
  const at = (/** @type {number} */ share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  if (sorted.length === 1) return `${number(sorted[0])} ms`;
  return `median ${number(at(0.5))} · worst ${number(sorted[sorted.length - 1])} ms · ${sorted.length} turns`;
}

// @ts-check
/**
 * The last twenty seconds of sound: level, voice activity, turn-taking and what happened, on one time axis.
 *
 * Readings come ten times a second and the strip moves as smoothly as the screen. Media time now is guessed from the
 * readings: one may come late, never early, so the quickest of late tells the time, as for the sound itself (edge/clock.py).
 * While the pointer is over it the strip stands still and tells what was there.
 */

import { clock, number } from "./dom.js";

const SPAN_MS = 20_000;
const LOW_DB = -78;
/** The newest reading lies this far inside the right edge, so that the line never ends before it. */
const LAG_MS = 160;
const FORGET_MS = SPAN_MS + 2000;
const CLOCK_MS = 5000;
/** Between two drawings: 25 a second are smooth at 30 pixels a second. */
const FRAME_MS = 38;
const AXIS = 34;
/** Readings that may come while the strip stands still: two minutes. */
const HELD_POINTS = 1400;

/** Events that stand on the strip: label and colour token. */
const MARKS = {
  wake: ["wake", "--hear"],
  endpoint: ["endpoint", "--think"],
  barge_in: ["barge-in", "--bad"],
  pause: ["pause", "--warn"],
  resume: ["resume", "--warn"],
  error: ["error", "--bad"],
  watch: ["watch", "--think"],
};
const STATES = { listening: "--hear", thinking: "--think", speaking: "--speak", muted: "--edge" };

export class Strip {
  /** @type {{t: number, db: number, raw: number, voice: number|null, state: string}[]} */ #points = [];
  /** @type {{t: number, label: string, colour: string}[]} */ #marks = [];
  /** @type {{from: number, to: number, text: string}[]} */ #words = [];
  /** @type {{at: number, lead: number}[]} quickest readings of late */ #leads = [];
  /** @type {number|null} */ #held = null;
  #pointer = 0;
  #threshold = 0.5;
  /** @type {Record<string, string>} */ #colours = {};
  #drawn = 0;

  /** @param {HTMLCanvasElement} canvas @param {HTMLElement} readout */
  constructor(canvas, readout) {
    this.canvas = canvas;
    this.readout = readout;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.#recolour();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#recolour());
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    canvas.addEventListener("pointermove", (event) => {
      this.#pointer = event.offsetX;
      this.#held ??= this.#now();
    });
    canvas.addEventListener("pointerleave", () => {
      this.#held = null;
      this.readout.textContent = "";
    });
    const draw = () => {
      requestAnimationFrame(draw);
      const at = performance.now();
      if (at - this.#drawn < (calm.matches ? 500 : FRAME_MS)) return;
      this.#drawn = at;
      this.#draw();
    };
    draw();
  }

  clear() {
    this.#points = [];
    this.#marks = [];
    this.#words = [];
    this.#leads = [];
    this.#held = null;
  }

  /** @param {number} threshold voice-activity probability that counts as speech */
  set threshold(threshold) {
    this.#threshold = threshold;
  }

  /** @param {any} meters */
  measure(meters) {
    if (typeof meters.t_ms !== "number") return;
    const last = this.#points.at(-1);
    if (last && meters.t_ms < last.t - 1000) this.clear(); // another session: its time begins anew
    this.#points.push({ t: meters.t_ms, db: meters.level_db, raw: meters.raw_db, voice: meters.voice, state: meters.state });
    const at = performance.now();
    const lead = meters.t_ms - at;
    while (this.#leads.length && this.#leads[this.#leads.length - 1].lead <= lead) this.#leads.pop();
    this.#leads.push({ at, lead });
    while (this.#leads[0].at < at - CLOCK_MS) this.#leads.shift();
    if (this.#points.length > HELD_POINTS) this.#held = null; // nobody reads that long: what stands still must not pile up
    const old = (this.#held ?? meters.t_ms) - FORGET_MS;
    while (this.#points.length && this.#points[0].t < old) this.#points.shift();
    while (this.#marks.length && this.#marks[0].t < old) this.#marks.shift();
    while (this.#words.length && this.#words[0].to < old) this.#words.shift();
  }

  /** @param {any} event */
  event(event) {
    const known = MARKS[/** @type {keyof typeof MARKS} */ (event.event)];
    if (known) this.#marks.push({ t: event.t_ms, label: known[0], colour: known[1] });
    if (event.event === "final") {
      for (const word of event.words ?? []) this.#words.push({ from: word.start_ms, to: word.end_ms, text: word.text });
    }
    if (event.event === "session") this.clear();
    if (this.#marks.length > 200) this.#marks.shift();
    if (this.#words.length > 400) this.#words.shift();
  }

  #now() {
    return this.#leads.length ? performance.now() + this.#leads[0].lead - LAG_MS : 0;
  }

  #recolour() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["paper", "card", "well", "ink", "soft", "line", "edge", "hear", "think", "speak", "bad", "warn",
      "hear-wash", "speak-wash"]) this.#colours[`--${name}`] = style.getPropertyValue(`--${name}`).trim();
  }

  #draw() {
    const { canvas, context } = this;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const now = this.#held ?? this.#now();
    const x = (/** @type {number} */ t) => AXIS + ((t - now + SPAN_MS) / SPAN_MS) * (width - AXIS);
    // From the top: flags, level, words, voice activity, state, seconds.
    const rows = { flags: 0, level: 20, words: height - 86, voice: height - 74, state: height - 26, axis: height - 14 };
    context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
    this.#grid(x, now, rows, width, height);
    context.save();
    context.beginPath();
    context.rect(AXIS, 0, width - AXIS, height);
    context.clip();
    this.#states(x, now, rows);
    this.#level(x, rows);
    this.#voice(x, rows);
    this.#said(x, rows);
    this.#flags(x, rows, width);
    context.restore();
    if (this.#held !== null) this.#tell(now, width, height);
  }

  /** @param {(t: number) => number} x @param {number} now @param {any} rows @param {number} width @param {number} height */
  #grid(x, now, rows, width, height) {
    const { context } = this;
    context.strokeStyle = this.#colours["--line"];
    context.fillStyle = this.#colours["--soft"];
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const db of [0, -20, -40, -60]) {
      const y = Math.round(this.#y(db, rows)) + 0.5;
      line(context, AXIS, y, width, y);
      context.fillText(String(db), AXIS - 6, y + (db ? 0 : 3));
    }
    context.fillText("voice", AXIS - 5, rows.voice + 20);
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    for (let t = Math.ceil((now - SPAN_MS) / 5000) * 5000; t < now; t += 5000) {
      if (t < 0) continue;
      const at = x(t);
      if (at > AXIS + 14 && at < width - 14) context.fillText(clock(t).slice(0, -2), at, height - 2);
      line(context, Math.round(at) + 0.5, rows.level, Math.round(at) + 0.5, rows.axis);
    }
  }

  /** @param {number} db @param {any} rows */
  #y(db, rows) {
    const share = Math.min(1, Math.max(0, (db - LOW_DB) / -LOW_DB));
    return rows.words - 4 - share * (rows.words - 4 - rows.level);
  }

  /** @param {(t: number) => number} x @param {any} rows */
  #level(x, rows) {
    const { context } = this;
    const base = rows.words - 4;
    for (const [key, fill, alpha] of /** @type {[("raw"|"db"), string, number][]} */ ([
      ["raw", "--edge", 0.22],
      ["db", "--hear", 0.75],
    ])) {
      context.globalAlpha = alpha;
      context.fillStyle = this.#colours[fill];
      context.beginPath();
      let begun = false;
      let last = 0;
      for (const point of this.#points) {
        if (typeof point[key] !== "number") continue;
        const at = x(point.t);
        if (!begun) context.moveTo(at, base);
        begun = true;
        context.lineTo(at, this.#y(point[key], rows));
        last = at;
      }
      context.lineTo(last, base);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  /** @param {(t: number) => number} x @param {any} rows */
  #voice(x, rows) {
    const { context } = this;
    const height = 40;
    const base = rows.voice + height;
    context.strokeStyle = this.#colours["--soft"];
    context.setLineDash([2, 3]);
    const bar = Math.round(base - this.#threshold * height) + 0.5;
    line(context, AXIS, bar, 1e5, bar);
    context.setLineDash([]);
    context.fillStyle = this.#colours["--hear-wash"];
    for (let from = 1; from < this.#points.length; from += 1) {
      let next = from;
      while (next < this.#points.length && (this.#points[next].voice ?? 0) >= this.#threshold) next += 1;
      if (next === from) continue;
      const left = x(this.#points[from - 1].t);
      context.fillRect(left, rows.voice, x(this.#points[next - 1].t) - left, height);
      from = next;
    }
    context.strokeStyle = this.#colours["--hear"];
    context.lineWidth = 1.5;
    context.beginPath();
    let pen = false;
    for (const { t, voice } of this.#points) {
      if (voice === null || voice === undefined) pen = false;
      else if (pen) context.lineTo(x(t), base - voice * height);
      else context.moveTo(x(t), base - voice * height);
      pen = voice !== null && voice !== undefined;
    }
    context.stroke();
    context.lineWidth = 1;
  }

  /** @param {(t: number) => number} x @param {any} rows */
  #said(x, rows) {
    this.context.fillStyle = this.#colours["--hear"];
    for (const { from, to } of this.#words) {
      this.context.fillRect(x(from) + 0.5, rows.words, Math.max(1, x(to) - x(from) - 1), 5);
    }
  }

  /** @param {(t: number) => number} x @param {number} now @param {any} rows */
  #states(x, now, rows) {
    const { context } = this;
    context.fillStyle = this.#colours["--well"];
    context.fillRect(AXIS, rows.state, 1e5, 8);
    // One rectangle a run: many small ones show their seams.
    for (let from = 0; from < this.#points.length; ) {
      const { t, state } = this.#points[from];
      let next = from + 1;
      while (next < this.#points.length && this.#points[next].state === state) next += 1;
      const colour = STATES[/** @type {keyof typeof STATES} */ (state)];
      if (colour) {
        context.fillStyle = this.#colours[colour];
        context.fillRect(x(t), rows.state, x(this.#points[next]?.t ?? now + LAG_MS) - x(t), 8);
      }
      from = next;
    }
  }

  /** @param {(t: number) => number} x @param {any} rows @param {number} width */
  #flags(x, rows, width) {
    const { context } = this;
    context.textAlign = "left";
    context.textBaseline = "middle";
    let free = -Infinity;
    for (const { t, label, colour } of [...this.#marks].sort((one, two) => one.t - two.t)) {
      const at = Math.round(x(t)) + 0.5;
      if (at < AXIS || at > width) continue;
      context.strokeStyle = this.#colours[colour];
      context.fillStyle = this.#colours[colour];
      line(context, at, rows.level - 6, at, rows.axis - 4);
      const wide = context.measureText(label).width + 8;
      const left = at + wide > width ? at - wide : at; // at the right edge the flag flies to the left
      if (left >= free) {
        context.beginPath();
        context.roundRect(left, rows.flags, wide, 15, 3);
        context.fill();
        context.fillStyle = this.#colours["--card"];
        context.fillText(label, left + 4, rows.flags + 8);
        free = left + wide + 2;
      } else context.fillRect(at - 2, rows.level - 8, 4, 4);
    }
  }

  /** @param {number} now @param {number} width @param {number} height */
  #tell(now, width, height) {
    const at = Math.min(Math.max(this.#pointer, AXIS), width);
    const t = now - SPAN_MS + ((at - AXIS) / (width - AXIS)) * SPAN_MS;
    this.context.strokeStyle = this.#colours["--ink"];
    line(this.context, at, 16, at, height - 14);
    const near = this.#points.reduce((/** @type {any} */ best, point) =>
      !best || Math.abs(point.t - t) < Math.abs(best.t - t) ? point : best, null);
    if (!near) return;
    const word = this.#words.find(({ from, to }) => from <= t && t <= to);
    this.readout.textContent = [clock(t), `${number(near.db, 1)} dBFS`, `voice ${number(near.voice, 2)}`, near.state,
      word ? `“${word.text}”` : ""].filter(Boolean).join(" · ");
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

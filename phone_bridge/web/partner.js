// @ts-check
/** The page of whom the wearer talks with: what is said in their language, large and aloud, and a button to talk. */

import { WakeLock } from "./device.js";
import { byId } from "./dom.js";
import { holdable } from "./holding.js";
import { primary } from "./languages.js";
import { PARTNER } from "./partner_words.js";
import { Pane } from "./pane.js";
import { Transcript } from "./transcript.js";

const RATE = 16_000;
const LEAD_MS = 60;
const HEADER_BYTES = 8;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

/** The loudspeaker: 16 kHz all the way to the browser's own output stage. */
class Hearing {
  /** @type {AudioContext|null} */ #context = null;
  /** @type {AudioWorkletNode|null} */ #node = null;
  /** How often the sound was flushed. */ #flushes = 0;
  #waitingMs = 0;
  #wanted = false;

  /** @param {() => void} changed called when it begins or ends to be heard */
  constructor(changed) {
    this.changed = changed;
    // A call, or the locked screen, took the sound away.
    document.addEventListener("visibilitychange", () => !document.hidden && this.#wanted && this.#context?.resume().catch(() => {}));
  }

  get on() {
    return this.#context?.state === "running" && this.#node !== null;
  }

  /** Milliseconds from a message's arrival until it is heard. */
  get aheadMs() {
    return Math.max(LEAD_MS, this.#waitingMs) + (this.#context?.outputLatency || this.#context?.baseLatency || 0) * 1000;
  }

  /** Begins. Called within a click or a key press. */
  async start() {
    this.#wanted = true;
    if (this.#context) return this.#context.resume();
    const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    this.#context = context;
    context.addEventListener("statechange", this.changed);
    await context.audioWorklet.addModule("/web/mouth.js");
    const node = new AudioWorkletNode(context, "mouth", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => { this.#waitingMs = (data / RATE) * 1000; };
    node.connect(context.destination);
    this.#node = node;
    await context.resume();
    this.changed();
  }

  stop() {
    this.#wanted = false;
    this.#context?.suspend();
    this.flush(this.#flushes);
  }

  /** @param {number} flushes */
  flush(flushes) {
    this.#flushes = flushes;
    this.#node?.port.postMessage(null);
  }

  /** Takes a binary message (phone_bridge/partner.py). @param {ArrayBuffer} data */
  play(data) {
    if (data.byteLength <= HEADER_BYTES || !this.on) return;
    const view = new DataView(data);
    const flushes = view.getUint32(0, true);
    const newer = (flushes - this.#flushes) | 0; // modulo 2^32
    if (newer < 0) return; // a flush overtook it
    if (newer > 0) this.flush(flushes);
    const pcm = new Float32Array((data.byteLength - HEADER_BYTES) / 2);
    for (let n = 0; n < pcm.length; n++) pcm[n] = view.getInt16(HEADER_BYTES + 2 * n, true) / 32768;
    this.#node?.port.postMessage(pcm, [pcm.buffer]);
  }
}

class Partner {
  transcript = new Transcript();
  pane = new Pane(byId("lines"), "partner");
  hearing = new Hearing(() => this.#heard());
  lock = new WakeLock();
  /** @type {WebSocket|null} */ #socket = null;
  #failures = 0;
  #state = "connecting";

  constructor() {
    byId("hear").addEventListener("click", () => (this.hearing.on ? this.hearing.stop() : this.hearing.start()));
    holdable(byId("speak"), (on) => this.#send({ type: "speak", on }));
    addEventListener("pagehide", () => this.#socket?.close());
    this.lock.want(true);
    this.#open();
    this.#draw();
  }

  #open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/partner/live`);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.#failures = 0;
      this.#enter("connected");
      this.#send({ type: "sound", on: this.hearing.on });
    });
    socket.addEventListener("message", ({ data }) => (typeof data === "string" ? this.#take(JSON.parse(data)) : this.hearing.play(data)));
    socket.addEventListener("close", async () => {
      this.#enter("lost");
      // A page is not told why a socket was refused; a plain request is.
      const answer = await fetch("/me").catch(() => null);
      if (answer?.status === 401 || answer?.status === 403) return this.#enter("failed");
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
      this.#failures += 1;
      setTimeout(() => this.#open(), pause);
    });
  }

  /** @param {any} message */
  #take(message) {
    switch (message.type) {
      case "event": return this.#told(message.event);
      case "flush": return this.hearing.flush(message.flushes);
      case "ping": return this.#send({ type: "pong", id: message.id, ahead_ms: this.hearing.aheadMs });
    }
  }

  /** @param {any} event */
  #told(event) {
    const row = this.transcript.take(event);
    if (event.event === "interpreting") return this.#draw();
    if (!row) return;
    this.pane.show(row, this.transcript.languages.partner);
    byId("waiting").hidden = true;
    if (event.event === "translation" && event.final && row.speaker === "wearer") {
      byId("said").lang = row.target.language;
      byId("said").textContent = row.target.record || row.target.text;
    }
  }

  /** @param {any} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #heard() {
    this.#send({ type: "sound", on: this.hearing.on });
    this.#draw();
  }

  /** @param {string} state */
  #enter(state) {
    this.#state = state;
    this.#draw();
  }

  #draw() {
    const tag = this.transcript.languages.partner || navigator.language;
    const words = PARTNER[primary(tag)] ?? PARTNER.en;
    const lang = PARTNER[primary(tag)] ? tag : "en";
    document.documentElement.lang = lang;
    document.documentElement.dir = ["ar", "fa", "he", "ur"].includes(primary(lang)) ? "rtl" : "ltr";
    byId("connection").dataset.state = this.#state;
    byId("state").textContent = this.#state === "connected" ? "" : words[/** @type {"lost"} */ (this.#state)];
    byId("waiting").textContent = words.waiting;
    byId("speak").disabled = this.#state !== "connected" || !this.transcript.on;
    byId("speak-word").textContent = words.speak;
    byId("hear").setAttribute("aria-pressed", String(this.hearing.on));
    byId("hear").toggleAttribute("data-first", !this.hearing.on);
    byId("hear-word").textContent = this.hearing.on ? "" : words.hear;
    byId("hear").setAttribute("aria-label", words.hear);
    byId("hear-glyph").setAttribute("href", this.hearing.on ? "#g-voice" : "#g-hushed");
  }
}

new Partner();

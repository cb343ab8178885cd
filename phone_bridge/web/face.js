// @ts-check
/** How the page looks in each state: one name decides glyph, word, hint and outline. */

import { CONNECTION, FACES, LABELS, remotely } from "./messages.js";

const GLYPHS = {
  off: "power", starting: "search", connecting: "search", lost: "lost", idle: "mic", holding: "waves", listening: "waves",
  thinking: "dots", speaking: "voice", paused: "pause", muted: "muted", replaced: "moved", ended: "power", failed: "key",
};
/** A battery below this share is worth a warning. */
const LOW = 0.15;

/** The phases without a session. */
const RESTING = ["off", "starting", "ended", "replaced", "failed"];

export class Face {
  /** One of FACES. */
  name = "off";
  pocket = false;
  #phase = "off";
  #connection = "off";
  #session = "idle";
  #muted = false;
  #holding = false;

  /** @param {Document} page */
  constructor(page) {
    this.page = page;
    this.#draw();
  }

  /** @param {string} phase `on`, or why it is not: `off`, `starting`, `ended`, `replaced` or `failed` */
  enter(phase) {
    this.#phase = phase;
    this.#session = "idle";
    if (phase === "on") this.#draw();
    else this.showConnection(phase === "starting" ? "connecting" : /** @type {keyof typeof CONNECTION} */ (phase));
  }

  /** @param {keyof typeof CONNECTION} state */
  showConnection(state) {
    this.#connection = state;
    if (state === "lost") this.#session = "idle"; // whatever it does meanwhile, it will say when it is back
    const place = this.#get("connection");
    place.dataset.state = state;
    /** @type {Element} */ (place.querySelector(".word")).textContent = CONNECTION[state];
    this.#draw();
  }

  /** @param {string} state of the session */
  showSession(state) {
    this.#session = state in FACES ? state : "idle";
    this.#draw();
  }

  /** @param {boolean} on */
  mute(on) {
    this.#muted = on;
    this.#draw();
  }

  /** @param {boolean} on */
  hold(on) {
    this.#holding = on;
    this.#draw();
  }

  /** @param {boolean} on */
  pocketMode(on) {
    if (this.pocket === on) return;
    this.pocket = on;
    this.page.body.classList.toggle("pocket", on);
    this.#get("leave-pocket").hidden = !on;
    const preview = /** @type {HTMLVideoElement} */ (this.#get("preview"));
    if (on) preview.pause(); // nobody looks, and decoding costs battery
    else preview.play().catch(() => {}); // there is no camera
    this.#get(on ? "talk" : "pocket").focus({ preventScroll: true });
    this.#draw();
  }

  /** @param {{level: number, charging: boolean}} battery */
  showBattery({ level, charging }) {
    const place = this.#get("battery");
    place.hidden = false;
    place.toggleAttribute("data-low", level < LOW && !charging);
    /** @type {HTMLElement} */ (place.querySelector(".cell")).style.setProperty("--level", String(level));
    /** @type {Element} */ (place.querySelector(".word")).textContent = LABELS.percent(level);
    /** @type {Element} */ (place.querySelector(".bolt")).toggleAttribute("hidden", !charging);
    /** @type {Element} */ (place.querySelector(".unseen")).textContent = charging ? LABELS.charging : LABELS.onBattery;
  }

  /** Shows which servers get what. @param {Record<string, string>} ports @param {boolean} leaves this machine */
  showRemote(ports, leaves) {
    const place = this.#get("remote");
    place.hidden = !Object.keys(ports).length;
    place.toggleAttribute("data-leaves", leaves);
    place.title = remotely(ports);
    /** @type {Element} */ (place.querySelector(".word")).textContent = [...new Set(Object.values(ports))].join(", ");
    /** @type {Element} */ (place.querySelector(".unseen")).textContent = place.title;
  }

  /** Shows what the camera sees. @param {MediaStreamTrack|null} track */
  showView(track) {
    const video = /** @type {HTMLVideoElement} */ (this.#get("preview"));
    video.srcObject = track ? new MediaStream([track]) : null;
    this.#get("view").hidden = !track;
  }

  #draw() {
    const before = this.name;
    this.name = this.#now();
    const { word, hint } = FACES[this.name];
    this.page.body.dataset.face = this.name;
    this.#get("talk-glyph").setAttribute("href", `#g-${GLYPHS[/** @type {keyof typeof GLYPHS} */ (this.name)]}`);
    this.#get("talk-word").textContent = word;
    this.#get("talk-hint").textContent = this.pocket ? LABELS.leavePocket : hint;
    if (before !== this.name) this.#get("state").textContent = word;
    const running = !["off", "ended", "replaced", "failed"].includes(this.name);
    for (const id of ["mute", "pocket", "end"]) /** @type {HTMLButtonElement} */ (this.#get(id)).disabled = !running;
    this.#get("mute").setAttribute("aria-pressed", String(this.#muted));
  }

  #now() {
    if (RESTING.includes(this.#phase)) return this.#phase;
    if (this.#muted) return "muted";
    if (this.#connection !== "connected") return this.#connection;
    return this.#holding ? "holding" : this.#session;
  }

  /** @param {string} id */
  #get(id) {
    return /** @type {HTMLElement} */ (this.page.getElementById(id));
  }
}

// @ts-check
/**
 * The page's end of a link: it connects, keeps the connection or finds it again, and speaks the control protocol.
 *
 *     connecting --welcome--> connected --nothing heard--> lost --restart or a new offer--> connected
 *                                 |                          |
 *                                 +--another device: replaced +--the key is no longer good: failed
 *                                 +--either side leaves: ended
 *
 * A connection that falters gets two seconds, then an ICE restart (RFC 9725, 4.3.3); where that does not help, new offers
 * follow with growing pauses. The tracks belong to whoever made them: Link sends them and never stops them.
 */

import { Player } from "./player.js";
import { sendStill, takeStill } from "./stills.js";
import { WhipError } from "./whip.js";
import { Wire } from "./wire.js";

/** @typedef {"connecting"|"connected"|"lost"|"replaced"|"ended"|"failed"} LinkState */
/** @typedef {{type: string, [key: string]: any}} Message one object of the control channel */
/** @typedef {{level: number, charging: boolean}} Battery level is 0 to 1 */
/**
 * @typedef {object} LinkOptions
 * @property {MediaStreamTrack|null} [audio] the microphone
 * @property {MediaStreamTrack|null} [video] the camera
 * @property {boolean} [echoCancellation] what the microphone was asked for, told where its settings do not say
 * @property {string} [device] what the device calls itself
 * @property {string} [endpoint] the WHIP endpoint
 */

const VERSION = 1;
/** Milliseconds of `disconnected`, or without a word from the server, before the connection is taken for lost. */
const PATIENCE_MS = 2000;
const SILENCE_MS = 3500;
const RESTART_MS = 4000;
const PING_MS = 1000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
/** Milliseconds after the first sentence of a reply at which its playout is reported. */
const REPLY_REPORT_MS = 120;

/**
 * Events, each a CustomEvent:
 * - `state`: detail {state: LinkState, code?: string, text?: string}. code says why: `unreachable`, `full`, `busy`, `quiet`
 *   while `lost`; `key`, `forbidden`, `refused` when `failed`; the reason when `ended`.
 * - `message`: detail is any Message of the server, those below included.
 * - `event`: detail is the event of a session (edge/events.py), as `{event: "partial", ...}`.
 * - `privacy`: detail {on: boolean}. `flush`: detail {rtp}. `track`: detail {track, receiver}.
 * - `rtt`: detail is the milliseconds there and back. `partners`: detail is how many pages of the partner are open.
 */
export class Link extends EventTarget {
  /** @type {LinkState} */ #state = "ended";
  /** @type {Wire|null} */ #wire = null;
  /** @type {AbortController|null} */ #life = null;
  /** @type {{audio: MediaStreamTrack|null, video: MediaStreamTrack|null}} */ #tracks;
  /** @type {Battery|null} */ #battery = null;
  /** When the server's last word came, milliseconds of performance.now(). */
  #heardAt = 0;
  /** The last ping: round trips of older ones are of no interest. */
  #lastPing = { id: 0, at: 0 };
  #echo;
  #endpoint;

  /** @param {LinkOptions} options */
  constructor({ audio = null, video = null, echoCancellation = true, device = "", endpoint = "/whip" } = {}) {
    super();
    this.#tracks = { audio, video };
    this.#echo = echoCancellation;
    /** What the device calls itself. */
    this.device = device;
    this.#endpoint = endpoint;
    /** What the wearer hears. `player.output` is the last node before the loudspeaker, for meters and recorders. */
    this.player = new Player((message) => this.send(message));
  }

  /** @returns {LinkState} */
  get state() {
    return this.#state;
  }

  /** The connection now in use, for `getStats()`. @returns {RTCPeerConnection|null} */
  get connection() {
    return this.#wire?.connection ?? null;
  }

  /**
   * Connects, and from then on reconnects by itself. The first call must come from a click or a key: browsers start sound
   * for nothing less.
   * @returns {Promise<LinkState>} the first state that lasts: `connected`, `failed`, `ended` or `replaced`
   */
  async connect() {
    if (this.#life) return this.#state;
    const life = new AbortController();
    this.#life = life;
    this.player.unlock();
    const settled = new Promise((resolve) => {
      this.addEventListener("state", (event) => {
        const { state } = /** @type {CustomEvent} */ (event).detail;
        if (state !== "connecting" && state !== "lost") resolve(state);
      }, { signal: life.signal });
    });
    const pings = setInterval(() => this.#ping(), PING_MS);
    this.#run(life.signal).finally(() => {
      clearInterval(pings);
      if (this.#life === life) this.#life = null;
    });
    return settled;
  }

  /** Leaves. @param {string} [reason] */
  close(reason = "left") {
    if (!this.#life) return;
    this.send({ type: "bye", reason });
    this.#wire?.close(true);
    this.#leave("ended", { code: reason });
  }

  /** Ends the connection without a goodbye, as a page does that may only be reloaded: the session waits for its wearer. */
  drop() {
    this.#leave("ended", { code: "dropped" });
  }

  /**
   * Sends a control message; what cannot be sent now is dropped, since all of it is about now.
   * @param {Message} message
   * @returns {boolean} whether it was sent
   */
  send(message) {
    return this.#wire?.send(JSON.stringify({ v: VERSION, ...message })) ?? false;
  }

  /** Sends bytes over the control channel. @param {ArrayBuffer} data @returns {boolean} whether they were sent */
  sendBytes(data) {
    return this.#wire?.send(data) ?? false;
  }

  /** @param {"tap"|"double_tap"|"hold"|"release"} name */
  tap(name) {
    return this.send({ type: "tap", name });
  }

  /**
   * Sends another track from now on (another camera, a headset), or none.
   * @param {"audio"|"video"} kind
   * @param {MediaStreamTrack|null} track
   */
  async replaceTrack(kind, track) {
    this.#tracks[kind] = track;
    if (kind === "audio") this.send({ type: "audio", ...this.#audioSettings() });
    await this.#wire?.replaceTrack(kind, track);
  }

  /** @param {Battery|null} battery */
  setBattery(battery) {
    this.#battery = battery;
    if (battery) this.send({ type: "battery", ...battery });
  }

  // -- the life of the link --------------------------------------------------------------------------------------------

  /** @param {AbortSignal} signal */
  async #run(signal) {
    let failures = 0;
    this.#enter("connecting");
    while (!signal.aborted) {
      try {
        await this.#open(signal);
      } catch (error) {
        if (signal.aborted) return;
        const { code, text, fatal, pause } = whatFailed(error);
        if (fatal) return this.#leave("failed", { code, text });
        this.#enter("lost", { code, text });
        await rest(pause ?? backoff(failures++), signal);
        continue;
      }
      failures = 0;
      while (!signal.aborted) {
        const code = await this.#trouble(signal);
        if (signal.aborted) return;
        this.#enter("lost", { code });
        if (code === "closed" || !(await this.#restart(signal))) break;
        this.#enter("connected");
      }
      this.#wire?.close();
    }
  }

  /** @param {AbortSignal} signal */
  async #open(signal) {
    const wire = new Wire(this.#tracks, this.#endpoint);
    this.#wire = wire;
    wire.addEventListener("message", (event) => this.#received(wire, /** @type {MessageEvent} */ (event).data));
    wire.addEventListener("track", (event) => {
      const { track, receiver } = /** @type {RTCTrackEvent} */ (/** @type {CustomEvent} */ (event).detail);
      if (track.kind === "audio") this.player.attach(track, receiver);
      this.#emit("track", { track, receiver });
    });
    try {
      await wire.open(signal);
    } catch (error) {
      wire.close();
      throw error;
    }
    this.#heardAt = performance.now();
    this.send({ type: "hello", device: this.device, audio: this.#audioSettings(), video: this.#videoSettings(),
      battery: this.#battery });
    this.#enter("connected");
  }

  /**
   * Waits until the connection is in trouble and gives the reason.
   * @param {AbortSignal} signal
   * @returns {Promise<string>} `disconnected`, `quiet` or `closed`
   */
  async #trouble(signal) {
    let doubtful = 0;
    for (;;) {
      await rest(250, signal, false);
      const wire = this.#wire;
      if (signal.aborted || !wire || wire.closed) return "closed";
      const now = performance.now();
      if (!wire.disconnected) doubtful = 0;
      else if (!doubtful) doubtful = now;
      else if (now - doubtful > PATIENCE_MS) return "disconnected";
      if (now - this.#heardAt > SILENCE_MS) return "quiet";
    }
  }

  /** @param {AbortSignal} signal */
  async #restart(signal) {
    const wire = /** @type {Wire} */ (this.#wire);
    const since = performance.now();
    try {
      await wire.restart(AbortSignal.any([signal, AbortSignal.timeout(RESTART_MS)]));
    } catch {
      return false; // Whatever went wrong, a new offer is the answer.
    }
    while (!signal.aborted && !wire.closed && performance.now() - since < RESTART_MS) {
      this.#ping();
      await rest(100, signal, false);
      if (this.#heardAt > since) return true;
    }
    return false;
  }

  /** @param {LinkState} state @param {{code?: string, text?: string}} [why] */
  #enter(state, why = {}) {
    const same = state === this.#state && state !== "lost";
    this.#state = state;
    if (!same) this.#emit("state", { state, ...why });
  }

  /** @param {LinkState} state @param {{code?: string, text?: string}} why */
  #leave(state, why) {
    const life = this.#life;
    this.#life = null;
    this.#wire?.close();
    this.#wire = null;
    if (life) this.#enter(state, why);
    life?.abort();
  }

  // -- the control channel ---------------------------------------------------------------------------------------------

  /** @param {Wire} wire @param {unknown} data */
  #received(wire, data) {
    if (wire !== this.#wire || typeof data !== "string") return;
    this.#heardAt = performance.now();
    /** @type {Message} */
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return this.#refuse("malformed", "not JSON");
    }
    if (typeof message?.type !== "string") return this.#refuse("malformed", "no type");
    this.#obey(message);
    this.#emit("message", message);
  }

  /** @param {Message} message */
  #obey(message) {
    switch (message.type) {
      case "ping": this.send({ type: "pong", id: message.id, at_ms: performance.now() }); break;
      case "pong":
        if (message.id === this.#lastPing.id) this.#emit("rtt", performance.now() - this.#lastPing.at);
        break;
      case "flush":
        this.player.flush(message.rtp);
        this.#emit("flush", { rtp: message.rtp });
        break;
      case "event":
        if (message.event?.event === "speak") setTimeout(() => this.player.report(), REPLY_REPORT_MS);
        this.#emit("event", message.event);
        break;
      case "partners": this.#emit("partners", message.count); break;
      case "privacy": this.#emit("privacy", { on: Boolean(message.on) }); break;
      case "snap": this.#snap(message.id); break;
      case "replaced": this.#leave("replaced", {}); break;
      case "bye": this.#leave("ended", { code: message.reason ?? "bye" }); break;
      case "welcome": case "unknown": case "error": case "bluetooth": case "glasses": case "gatt": break;
      default: this.send({ type: "unknown", of: message.type });
    }
  }

  /** @param {string} code @param {string} text */
  #refuse(code, text) {
    this.send({ type: "error", code, text });
  }

  #ping() {
    this.#lastPing = { id: this.#lastPing.id + 1, at: performance.now() };
    this.send({ type: "ping", id: this.#lastPing.id, at_ms: this.#lastPing.at });
  }

  /** @param {number} id */
  async #snap(id) {
    const wire = this.#wire;
    const track = this.#tracks.video;
    try {
      if (!wire || !track) throw new DOMException("there is no camera", "NotFoundError");
      const still = await takeStill(track);
      await sendStill(wire, id, still, (message) => this.send(message));
    } catch (error) {
      this.send({ type: "still_failed", id, code: error instanceof DOMException ? error.name : "failed" });
    }
  }
  #audioSettings() {
    const settings = this.#tracks.audio?.getSettings() ?? {};
    return {
      echoCancellation: Boolean(settings.echoCancellation ?? this.#echo), // some browsers answer "all" or "remote-only"
      noiseSuppression: Boolean(settings.noiseSuppression),
      autoGainControl: Boolean(settings.autoGainControl),
    };
  }

  #videoSettings() {
    const settings = this.#tracks.video?.getSettings();
    if (!settings) return null;
    return { width: settings.width ?? 0, height: settings.height ?? 0, facing: settings.facingMode ?? "" };
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Says what a failed attempt to connect means.
 * @param {unknown} error
 * @returns {{code: string, text?: string, fatal?: boolean, pause?: number}} pause in milliseconds, where the server named one
 */
function whatFailed(error) {
  if (!(error instanceof WhipError)) return { code: "unreachable" };
  const { status, text, retryAfter } = error;
  const pause = retryAfter === null ? undefined : Math.min(retryAfter * 1000, LONGEST_PAUSE_MS);
  switch (true) {
    case status === 401: return { code: "key", text, fatal: true };
    case status === 403: return { code: "forbidden", text, fatal: true };
    case status === 429: return { code: "busy", text, pause: pause ?? LONGEST_PAUSE_MS };
    case status === 503: return { code: "full", text, pause: pause ?? LONGEST_PAUSE_MS };
    case status >= 500: return { code: "unreachable", text, pause };
    default: return { code: "refused", text, fatal: true };
  }
}

/** Doubles with each failure, and differs between pages, so that a server that restarts is not met by all at once.
 * @param {number} failures
 */
function backoff(failures) {
  return Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
}

/** Waits; the network's return ends the wait where that is wanted.
 * @param {number} ms @param {AbortSignal} signal @param {boolean} [network]
 */
function rest(ms, signal, network = true) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const done = () => {
      clearTimeout(timer);
      over.abort();
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { signal: over.signal });
    if (network) addEventListener("online", done, { signal: over.signal });
    if (signal.aborted) done();
  });
}

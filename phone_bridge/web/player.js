// @ts-check
/**
 * What the wearer hears: one Web Audio graph, so that a flush is silence at once and not after the jitter buffer.
 *
 *     remote track -> MediaStreamAudioSourceNode -> GainNode (output) -> loudspeaker
 *
 * Chrome pulls a remote track only where a media element plays it too, hence the muted one (crbug.com/933677).
 */

/** @typedef {(message: {type: string, [key: string]: any}) => boolean} Send */

const REPORT_MS = 1000;
const LOOK_MS = 10;
const GIVE_UP_MS = 2000;
/**
 * Seconds for which Web Audio still holds sound that the receiver counts as played: Chromium 156 was heard to play old words
 * for up to 30 ms more. Whatever was sent right after the flush loses as much; a reply begins later than that.
 */
const SETTLE_S = 0.06;
/** Seconds over which sound returns, so that it does not click. */
const FADE_S = 0.01;

export class Player {
  /** @type {AudioContext|null} */ #context = null;
  /** @type {GainNode|null} */ #output = null;
  /** @type {MediaStreamAudioSourceNode|null} */ #source = null;
  /** @type {RTCRtpReceiver|null} */ #receiver = null;
  /** @type {MediaStreamTrack|null} */ #track = null;
  /** @type {ReturnType<typeof setInterval>|undefined} */ #reports;
  /** @type {ReturnType<typeof setInterval>|undefined} */ #looks;
  #element = new Audio();

  /** @param {Send} send takes `playout` and `flushed` messages */
  constructor(send) {
    this.send = send;
    this.#element.muted = true;
    this.#element.setAttribute("playsinline", "");
  }

  /** The last node before the loudspeaker; null before the first `unlock`. */
  get output() {
    return this.#output;
  }

  /** @returns {AudioContext|null} */
  get context() {
    return this.#context;
  }

  /** Whether sound can be heard now: browsers suspend it without a gesture, iOS interrupts it for a call. */
  get audible() {
    return this.#context?.state === "running";
  }

  /** Starts the sound. It must be called within a click or a key press the first time, and may be called at any. */
  unlock() {
    if (!this.#context) {
      this.#context = new AudioContext({ latencyHint: "interactive" });
      this.#output = this.#context.createGain();
      this.#output.connect(this.#context.destination);
      document.addEventListener("visibilitychange", () => this.resume());
      this.#context.addEventListener("statechange", () => this.resume());
      this.#reports = setInterval(() => this.report(), REPORT_MS);
      if (this.#track && this.#receiver) this.attach(this.#track, this.#receiver);
    }
    this.resume();
  }

  /** Resumes sound that the system stopped, as far as the system lets us. */
  resume() {
    const context = this.#context;
    if (!context || document.hidden || context.state === "running" || context.state === "closed") return;
    context.resume().catch(() => {}); // refused without a gesture: the next one tries again
    this.#element.play().catch(() => {});
  }

  /** Plays another remote track instead. @param {MediaStreamTrack} track @param {RTCRtpReceiver} receiver */
  attach(track, receiver) {
    this.#track = track;
    this.#receiver = receiver;
    this.#hear();
    if (!this.#context || !this.#output) return;
    const stream = new MediaStream([track]);
    this.#source?.disconnect();
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#output);
    this.#element.srcObject = stream;
    this.#element.play().catch(() => {}); // refused without a gesture: `resume` tries again
  }

  /**
   * Is silent until what plays was sent after the flush, and says so to the server.
   * @param {number} rtp the RTP timestamp of the first packet that may be heard again
   */
  flush(rtp) {
    const began = performance.now();
    clearInterval(this.#looks);
    if (this.#output && this.#context) {
      this.#output.gain.cancelScheduledValues(0);
      this.#output.gain.value = 0;
    }
    this.#looks = setInterval(() => {
      const playing = this.#playing();
      const reached = playing !== null && ((playing.rtp - rtp) >>> 0) < 2 ** 31; // modulo 2^32, as RFC 3550's timestamps are
      if (!reached && performance.now() - began < GIVE_UP_MS) return;
      this.#hear(SETTLE_S);
      this.send({ type: "flushed", rtp: playing?.rtp ?? rtp });
    }, LOOK_MS);
  }

  /** Tells the server what plays now, for its measure of when a reply was really heard. */
  report() {
    const playing = this.#playing();
    const context = this.#context;
    if (!playing || !context) return;
    const latency = (context.outputLatency || context.baseLatency || 0) * 1000;
    this.send({ type: "playout", rtp: playing.rtp, at_ms: playing.at, output_latency_ms: latency });
  }

  /** Ends the sound for good. */
  close() {
    clearInterval(this.#reports);
    clearInterval(this.#looks);
    this.#element.srcObject = null;
    this.#context?.close();
  }

  /** @param {number} [delay] in seconds */
  #hear(delay = 0) {
    clearInterval(this.#looks);
    if (!this.#output || !this.#context) return;
    this.#output.gain.cancelScheduledValues(0);
    this.#output.gain.setTargetAtTime(1, this.#context.currentTime + delay, FADE_S / 3);
  }

  /** @returns {{rtp: number, at: number}|null} the RTP timestamp that was handed to the loudspeaker last, and when */
  #playing() {
    const source = this.#receiver?.getSynchronizationSources()[0];
    if (!source) return null;
    const now = performance.now();
    const at = source.timestamp - performance.timeOrigin; // it is wall time by the specification, but not in every browser
    return { rtp: source.rtpTimestamp, at: Math.abs(at - now) < 1000 ? at : now };
  }
}

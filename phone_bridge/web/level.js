// @ts-check
/** How loud the microphone is, as the CSS property `--heard` (0 to 1) of an element. */

const LOOK_MS = 60;
/** Decibels below full scale that show as nothing, and as everything. */
const QUIET_DB = -60;
const LOUD_DB = -15;

export class Level {
  /** @type {MediaStreamAudioSourceNode|null} */ #source = null;
  /** @type {ReturnType<typeof setInterval>|undefined} */ #timer;
  #shown = true;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
  }

  /** @param {MediaStreamTrack|null} track @param {AudioContext|null} context */
  listen(track, context) {
    clearInterval(this.#timer);
    this.#source?.disconnect();
    this.#source = null;
    this.#draw(0);
    if (!track || !context || context.state === "closed") return;
    const meter = context.createAnalyser();
    meter.fftSize = 1024;
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(meter);
    const sound = new Float32Array(meter.fftSize);
    let shown = 0;
    this.#timer = setInterval(() => {
      if (!this.#shown || document.hidden) return;
      meter.getFloatTimeDomainData(sound);
      const power = sound.reduce((sum, sample) => sum + sample * sample, 0) / sound.length;
      const level = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-12) - QUIET_DB) / (LOUD_DB - QUIET_DB)));
      shown = Math.max(level, shown * 0.8); // up at once, down in a fifth of a second: the eye wants peaks
      this.#draw(shown);
    }, LOOK_MS);
  }

  /** @param {boolean} on */
  show(on) {
    this.#shown = on;
    if (!on) this.#draw(0);
  }

  /** @param {number} level */
  #draw(level) {
    this.element.style.setProperty("--heard", level.toFixed(2));
  }
}

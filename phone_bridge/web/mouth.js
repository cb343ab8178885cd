// @ts-check
/** Plays sound that comes in pieces, in the audio thread: the first piece after silence waits a little for those behind it. */

/** Samples from the first one's arrival until it is played: 60 ms, what a busy WLAN delays a message now and then. */
const LEAD = 960;
/** Samples that may wait, ten seconds; whoever sends more sends faster than it can be heard. */
const MOST = 160_000;
const REPORT = 4000;

class Mouth extends AudioWorkletProcessor {
  /** @type {Float32Array[]} */ #waiting = [];
  /** How much of the first one was played. */ #at = 0;
  #held = 0;
  #wait = LEAD;
  #since = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => (data === null ? this.#hush() : this.#take(data));
  }

  /** @param {Float32Array} pcm */
  #take(pcm) {
    if (this.#held + pcm.length > MOST) return;
    this.#waiting.push(pcm);
    this.#held += pcm.length;
  }

  #hush() {
    this.#waiting = [];
    this.#at = this.#held = 0;
    this.#wait = LEAD;
  }

  /** @param {Float32Array[][]} _ @param {Float32Array[][]} outputs */
  process(_, outputs) {
    const [out] = outputs[0];
    this.#report(out.length);
    if (!this.#held) {
      this.#wait = LEAD;
      return true;
    }
    if (this.#wait > 0) {
      this.#wait -= out.length;
      return true;
    }
    for (let done = 0; done < out.length && this.#held;) {
      const [first] = this.#waiting;
      const part = first.subarray(this.#at, this.#at + out.length - done);
      out.set(part, done);
      done += part.length;
      this.#held -= part.length;
      this.#at += part.length;
      if (this.#at === first.length) {
        this.#waiting.shift();
        this.#at = 0;
      }
    }
    return true;
  }

  /** @param {number} samples */
  #report(samples) {
    this.#since += samples;
    if (this.#since < REPORT) return;
    this.#since = 0;
    this.port.postMessage(this.#held);
  }
}

registerProcessor("mouth", Mouth);

// @ts-check
/** Tells the wearer of a trouble three ways: in a banner, to a screen reader, and aloud by the page itself. */

import { SAID } from "./messages.js";

/** Milliseconds that good news stays in the banner. */
const GOOD_NEWS_MS = 5000;
/** Falling for trouble, rising for its end: frequencies in hertz, each 0.18 s. */
const TONES = { bad: [440, 294], good: [440, 587] };

export class Announcer {
  #banner;
  #text;
  /** The way out of being unknown here. @type {HTMLElement|null} */ #pairing;
  /** @type {AudioContext|null} */ #context = null;
  /** The trouble that the banner shows, by its key in SAID. */
  shown = "";
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;

  /** @param {HTMLElement} banner a `role="alert"` with an element `.text` in it */
  constructor(banner) {
    this.#banner = banner;
    this.#text = /** @type {HTMLElement} */ (banner.querySelector(".text"));
    this.#pairing = banner.querySelector("a[href='/pair']");
    globalThis.speechSynthesis?.getVoices(); // Chrome loads them at the first call and has none until then
  }

  /** Allows later troubles to be heard. Called within a click or a key press, without which browsers keep quiet. */
  unlock() {
    if (this.#context) return;
    globalThis.speechSynthesis?.speak(new SpeechSynthesisUtterance("")); // iOS takes the first one only from a gesture
    this.#context = new AudioContext();
    this.#context.suspend(); // it costs battery while it runs
  }

  /**
   * Tells of a trouble. It stays until it is cleared.
   * @param {string} key of SAID
   * @param {string} [more] what the server said of it
   */
  trouble(key, more = "") {
    if (this.shown === key) return;
    this.#show(key, "bad", [SAID[key] ?? SAID.refused, SAID[key] ? "" : more].filter(Boolean).join(" "));
  }

  /** Tells that a trouble is over, in place of it. @param {string} key of SAID @param {string[]} ends the troubles it ends */
  relief(key, ends) {
    if (!ends.includes(this.shown)) return;
    this.#show(key, "good", SAID[key]);
    this.#timer = setTimeout(() => this.clear(key), GOOD_NEWS_MS);
  }

  /** Shows something the session said of itself, which is spoken through the link. @param {string} text */
  note(text) {
    if (this.shown && this.shown !== "note") return; // a trouble of the link matters more
    this.#put("note", "note", text);
    this.#timer = setTimeout(() => this.clear("note"), GOOD_NEWS_MS);
  }

  /** Takes the banner away, if it shows one of these. @param {...string} keys */
  clear(...keys) {
    if (!keys.includes(this.shown)) return;
    clearTimeout(this.#timer);
    this.shown = "";
    this.#banner.hidden = true;
    this.#text.textContent = "";
  }

  /** @param {string} key @param {"bad"|"good"} mood @param {string} text */
  #show(key, mood, text) {
    this.#put(key, mood, text);
    this.#aloud(text, mood);
  }

  /** @param {string} key @param {string} mood @param {string} text */
  #put(key, mood, text) {
    clearTimeout(this.#timer);
    this.shown = key;
    this.#banner.dataset.mood = mood;
    this.#banner.dataset.key = key;
    this.#banner.hidden = false;
    if (this.#pairing) this.#pairing.hidden = key !== "key";
    this.#text.textContent = text;
  }

  /** @param {string} text @param {"bad"|"good"} mood */
  #aloud(text, mood) {
    const synthesis = globalThis.speechSynthesis;
    if (synthesis?.getVoices().some((voice) => voice.localService)) { // others would send the sentence to a company
      synthesis.cancel();
      const utterance = new SpeechSynthesisUtterance(text);
      utterance.lang = "en";
      utterance.voice = synthesis.getVoices().find((v) => v.localService && v.lang.startsWith("en")) ?? null;
      synthesis.speak(utterance);
    } else {
      this.#tone(TONES[mood]);
    }
  }

  /** @param {number[]} notes */
  #tone(notes) {
    const context = this.#context;
    if (!context) return;
    const gain = new GainNode(context, { gain: 0.12 });
    const tone = new OscillatorNode(context, { type: "sine" });
    tone.connect(gain).connect(context.destination);
    notes.forEach((frequency, n) => tone.frequency.setValueAtTime(frequency, context.currentTime + n * 0.18));
    context.resume().then(() => {
      tone.start();
      tone.stop(context.currentTime + notes.length * 0.18);
    }).catch(() => {}); // the system keeps the sound for itself, as in a phone call
    tone.addEventListener("ended", () => {
      gain.disconnect();
      context.suspend();
    });
  }
}

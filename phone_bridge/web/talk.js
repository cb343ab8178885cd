// @ts-check
/**
 * One surface for the whole hand: a short press is a tap, a long one holds until it is let go.
 *
 * It works by touch, mouse, keyboard (space or enter, anywhere but in a field) and by the click that a screen reader makes.
 */

const HOLD_MS = 350;
/** Milliseconds within which the second tap of a double tap comes. */
const DOUBLE_MS = 300;

/**
 * @typedef {object} Gestures
 * @property {() => void} tap
 * @property {() => void} hold
 * @property {() => void} release
 * @property {() => void} doubleTap only called while `doubles` gives true; taps then wait for a possible second one
 * @property {() => boolean} doubles
 */

export class TalkSurface {
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #holding;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #second;
  #pressed = false;
  #held = false;
  #endedAt = -Infinity;

  /** @param {HTMLButtonElement} surface @param {Gestures} gestures */
  constructor(surface, gestures) {
    this.surface = surface;
    this.gestures = gestures;
    surface.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      surface.setPointerCapture(event.pointerId); // a thumb that slides off still ends the press
      this.#press();
    });
    surface.addEventListener("pointerup", (event) => event.isPrimary && this.#lift(true));
    surface.addEventListener("pointercancel", (event) => event.isPrimary && this.#lift(false));
    surface.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press is ours
    surface.addEventListener("click", () => {
      if (performance.now() - this.#endedAt > 500 && !this.#pressed) this.#tapped(); // made by assistive technology
    });
    document.addEventListener("keydown", (event) => this.#key(event, true));
    document.addEventListener("keyup", (event) => this.#key(event, false));
    addEventListener("blur", () => this.#lift(false));
    document.addEventListener("visibilitychange", () => this.#lift(false));
  }

  /** @param {KeyboardEvent} event @param {boolean} down */
  #key(event, down) {
    if ((event.key !== " " && event.key !== "Enter") || event.ctrlKey || event.altKey || event.metaKey) return;
    const target = /** @type {Element} */ (event.target);
    if (target !== this.surface && target !== document.body && !(this.#pressed && !down)) return;
    event.preventDefault(); // no click and no scrolling
    if (event.repeat) return;
    if (down) this.#press();
    else this.#lift(true);
  }

  #press() {
    if (this.#pressed) return;
    this.#pressed = true;
    this.#holding = setTimeout(() => {
      this.#held = true;
      this.gestures.hold();
    }, HOLD_MS);
  }

  /** @param {boolean} meant whether it was let go, and not taken away by the system */
  #lift(meant) {
    if (!this.#pressed) return;
    this.#pressed = false;
    this.#endedAt = performance.now();
    clearTimeout(this.#holding);
    if (this.#held) this.gestures.release();
    else if (meant) this.#tapped();
    this.#held = false;
  }

  #tapped() {
    if (this.#second !== undefined) {
      clearTimeout(this.#second);
      this.#second = undefined;
      return this.gestures.doubleTap();
    }
    if (!this.gestures.doubles()) return this.gestures.tap();
    this.#second = setTimeout(() => {
      this.#second = undefined;
      this.gestures.tap();
    }, DOUBLE_MS);
  }
}

// @ts-check
/** What the page knows of the device it runs on: its screen, its battery, its name, and what was chosen on it. */

/** Keeps the screen on while `wanted`: browsers take the lock back whenever the page is hidden. */
export class WakeLock {
  #wanted = false;
  /** @type {WakeLockSentinel|null} */ #lock = null;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#take());
  }

  get held() {
    return this.#lock !== null && !this.#lock.released;
  }

  /** @param {boolean} on */
  want(on) {
    this.#wanted = on;
    if (on) return this.#take();
    this.#lock?.release();
    this.#lock = null;
  }

  async #take() {
    if (!this.#wanted || document.hidden || this.held) return;
    try {
      this.#lock = await navigator.wakeLock.request("screen");
      if (!this.#wanted) this.want(false); // it was given up while the browser thought about it
    } catch {
      this.#lock = null; // no such thing here, or a battery saver forbids it: the screen goes dark as it always did
    }
  }
}

/**
 * Follows the battery where the browser tells of it (Chromium does; Safari and Firefox do not).
 * @param {(battery: {level: number, charging: boolean}) => void} changed
 */
export async function followBattery(changed) {
  const battery = await /** @type {any} */ (navigator).getBattery?.().catch(() => null);
  if (!battery) return;
  const tell = () => changed({ level: battery.level, charging: battery.charging });
  battery.addEventListener("levelchange", tell);
  battery.addEventListener("chargingchange", tell);
  tell();
}

/** What this device may be called: "Pixel 8", "Chrome on Linux", or an empty text. @returns {Promise<string>} */
export async function deviceName() {
  const agent = /** @type {any} */ (navigator).userAgentData;
  if (agent) {
    const { model = "" } = await agent.getHighEntropyValues(["model"]).catch(() => ({}));
    const brand = agent.brands.map((/** @type {{brand: string}} */ b) => b.brand).find((/** @type {string} */ b) => !/Not.?A/.test(b));
    return model || [brand, agent.platform].filter(Boolean).join(" on ");
  }
  return /iPhone|iPad|Android|Macintosh|Windows|Linux/.exec(navigator.userAgent)?.[0].replace("Macintosh", "Mac") ?? "";
}

/** What was chosen on this device, kept where the browser lets us keep it. No key and nothing that was said is ever in it. */
export const choices = {
  /** @param {string} name @param {string} otherwise */
  get(name, otherwise) {
    try {
      return localStorage.getItem(`nearsight.${name}`) ?? otherwise;
    } catch {
      return otherwise; // a private window
    }
  },
  /** @param {string} name @param {string} value */
  set(name, value) {
    try {
      localStorage.setItem(`nearsight.${name}`, value);
    } catch {
      // a private window: the choice lasts as long as the page
    }
  },
};

// @ts-check
/** The place of Bluetooth glasses in the sheet of settings, and what is said of them. */

import { Bluetooth } from "./bluetooth.js";
import { GLASSES } from "./messages.js";

/** @typedef {import("./announcer.js").Announcer} Announcer */
/** @typedef {import("./link.js").Link} Link */

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Glasses {
  /** @type {Link|null} */ #link = null;
  #button = /** @type {HTMLButtonElement} */ (element("glasses-choose"));
  #inUse = false;

  /** @param {Announcer} announcer */
  constructor(announcer) {
    this.announcer = announcer;
    this.bluetooth = new Bluetooth((data) => {
      return (data instanceof ArrayBuffer ? this.#link?.sendBytes(data) : this.#link?.send(/** @type {any} */ (data))) ?? false;
    });
    this.bluetooth.addEventListener("state", (event) => this.#show(/** @type {CustomEvent} */ (event).detail));
    this.#button.addEventListener("click", () => (this.#held ? this.bluetooth.leave() : this.bluetooth.choose()));
    this.#show({ state: this.bluetooth.state });
  }

  /** Takes the link over which the server is reached. @param {Link} link */
  follow(link) {
    this.#link = link;
    link.addEventListener("message", (event) => {
      if (this.#link !== link) return;
      const message = /** @type {CustomEvent} */ (event).detail;
      if (message.type === "bluetooth") this.bluetooth.welcome(message);
      else if (message.type === "gatt") this.bluetooth.obey(message);
      else if (message.type === "glasses") this.bluetooth.heard(message);
      else return;
      if (message.type === "bluetooth") this.#show({ state: this.bluetooth.state });
    });
    link.addEventListener("state", (event) => {
      if (this.#link === link && /** @type {CustomEvent} */ (event).detail.state === "lost") this.bluetooth.pause();
    });
  }

  /** Lets link and glasses go. */
  leave() {
    if (this.#held) this.bluetooth.leave();
    this.bluetooth.mute(false);
    this.#link = null;
    this.#inUse = false;
    this.announcer.clear("glasses_lost");
    this.#show({ state: this.bluetooth.state });
  }

  get #held() {
    return ["connecting", "in_use", "lost"].includes(this.bluetooth.state);
  }

  /** @param {{state: import("./bluetooth.js").GlassesState, text?: string}} now */
  #show({ state, text = "" }) {
    const ready = this.#link !== null && this.bluetooth.wanted;
    this.#button.hidden = state === "unsupported";
    this.#button.disabled = !ready || state === "choosing";
    this.#button.textContent = this.#held ? GLASSES.leave : GLASSES.choose;
    element("glasses-fact").textContent = state === "off" && !ready ? GLASSES.start : GLASSES[state](this.bluetooth.model, text);
    if (state === "lost" && this.#inUse) this.announcer.trouble("glasses_lost");
    if (state === "in_use") this.announcer.relief("glasses_back", ["glasses_lost"]);
    this.#inUse = state === "in_use" || (this.#inUse && state === "connecting");
  }
}

// @ts-check
/** The sheet of settings: which camera, whose echo canceller, and what is really in force. */

import { choices } from "./device.js";
import { Media } from "./media.js";
import { LABELS } from "./messages.js";

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Settings {
  #sheet = /** @type {HTMLDialogElement} */ (element("sheet"));
  #camera = /** @type {HTMLSelectElement} */ (element("camera"));
  #echo = /** @type {HTMLInputElement} */ (element("echo"));

  /**
   * @param {Media} media
   * @param {{camera: () => Promise<any>, echo: () => Promise<any>}} changed called while media are in use
   */
  constructor(media, changed) {
    this.media = media;
    element("settings").addEventListener("click", async () => {
      await this.show();
      this.#sheet.showModal();
    });
    this.#camera.addEventListener("change", () => {
      media.cameraChoice = this.#camera.value;
      choices.set("camera", media.cameraChoice);
      if (media.microphone) changed.camera();
    });
    this.#echo.addEventListener("change", async () => {
      media.echoCancellation = this.#echo.checked;
      choices.set("echo", media.echoCancellation ? "on" : "off");
      if (media.microphone) await changed.echo();
      await this.show();
    });
    this.#sheet.addEventListener("click", (event) => event.target === this.#sheet && this.#sheet.close()); // its backdrop
  }

  get open() {
    return this.#sheet.open;
  }

  /** Shows what can be chosen and what is in force. */
  async show() {
    const cameras = await Media.cameras();
    const named = cameras.map(({ deviceId, label }, n) => new Option(label || LABELS.camera(n + 1), deviceId));
    this.#camera.replaceChildren(
      new Option(LABELS.cameraRear, "environment"), new Option(LABELS.cameraFront, "user"), ...named,
      new Option(LABELS.cameraNone, "none"),
    );
    this.#camera.value = this.media.cameraChoice;
    if (!this.#camera.value) this.#camera.value = "environment"; // the webcam that was chosen is not here today
    this.#echo.checked = this.media.echoCancellation;
    element("echo-fact").textContent = this.#echoFact();
  }

  /** @param {number} ms */
  showDelay(ms) {
    if (this.open) element("delay").textContent = LABELS.delay(ms);
  }

  #echoFact() {
    const track = this.media.microphone;
    if (!track) return LABELS.echoUnknown;
    const really = Boolean(track.getSettings().echoCancellation);
    const fact = really ? LABELS.echoOn : LABELS.echoOff;
    return really === this.media.echoCancellation ? fact : `${LABELS.echoUnlike} ${fact}`;
  }
}

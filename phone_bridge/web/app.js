// @ts-check
/** The phone page: microphone, camera and loudspeaker of this device, one large button, captions. */

import { Announcer } from "./announcer.js";
import { Captions } from "./captions.js";
import { WakeLock, choices, deviceName, followBattery } from "./device.js";
import { Face } from "./face.js";
import { Glasses } from "./glasses.js";
import { Level } from "./level.js";
import { Link } from "./link.js";
import { Media, MediaFailure } from "./media.js";
import { Settings } from "./settings.js";
import { Sign } from "./sign.js";
import { TalkSurface } from "./talk.js";
import { Translation } from "./translation.js";

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** Where the surface switches something on instead of talking to the session. */
const AT_REST = ["off", "ended", "replaced", "failed"];

class App {
  /** @type {Link|null} */ link = null;
  media = new Media();
  lock = new WakeLock();
  face = new Face(document);
  announcer = new Announcer(element("banner"));
  glasses = new Glasses(this.announcer);
  captions = new Captions(element("exchanges"), element("answer"), element("welcome"));
  translation = new Translation((message) => this.link?.send(message) ?? false);
  sign = new Sign();
  level = new Level(element("talk"));
  /** What the server was told of the tracks last. */
  states = { microphone: "off", camera: "off" };
  /** Muted on this page, and muted by the session ("go private"). Each alone is enough. */
  muted = false;
  privacy = false;
  holding = false;
  /** Whether the link was connected before: its first failure is no loss. */
  wasConnected = false;
  /** @type {import("./link.js").Battery|null} */ battery = null;

  constructor() {
    this.media.cameraChoice = choices.get("camera", "environment");
    this.media.echoCancellation = choices.get("echo", "on") === "on";
    this.settings = new Settings(this.media, { camera: () => this.#openCamera(), echo: () => this.#openMicrophone() });
    new TalkSurface(/** @type {HTMLButtonElement} */ (element("talk")), {
      tap: () => this.tap(),
      hold: () => this.hold(),
      release: () => this.release(),
      doubleTap: () => this.pocket(false),
      // In the pocket a tap waits for a second one, except where it is to stop an answer.
      doubles: () => this.face.pocket && !["speaking", "thinking"].includes(this.face.name),
    });
    element("mute").addEventListener("click", () => this.mute(!(this.muted || this.privacy)));
    element("pocket").addEventListener("click", () => this.pocket(true));
    element("leave-pocket").addEventListener("click", () => this.pocket(false));
    element("end").addEventListener("click", () => this.end("left"));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.escape());
    document.addEventListener("pointerup", () => this.link?.player.resume());
    // A page that is closed and one that is reloaded look alike: the server keeps the session for whoever comes back.
    addEventListener("pagehide", () => this.link?.drop());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    this.#followMedia();
    followBattery((battery) => {
      this.battery = battery;
      this.face.showBattery(battery);
      this.link?.setBattery(battery);
    });
  }

  /** Switches everything on. Called within a click or a key press, without which there is no sound. */
  async start() {
    const link = new Link({ echoCancellation: this.media.echoCancellation });
    this.link?.player.close();
    this.link = link;
    this.wasConnected = false;
    this.muted = this.privacy = false;
    link.player.unlock();
    this.announcer.unlock();
    this.announcer.clear(this.announcer.shown);
    this.face.enter("starting");
    if (!(await this.#openMicrophone())) return this.end("no microphone", "off");
    await this.#openCamera();
    if (this.link !== link) return; // ended while the browser asked
    this.lock.want(true);
    link.device = await deviceName();
    link.setBattery(this.battery);
    this.#followLink(link);
    this.glasses.follow(link);
    this.face.enter("on");
    await link.connect();
  }

  /** @param {string} reason @param {string} [face] */
  end(reason, face = "ended") {
    const { link } = this;
    this.glasses.leave();
    this.link = null;
    link?.close(reason);
    link?.player.close();
    if (face === "ended") this.announcer.clear(this.announcer.shown);
    this.#rest(face);
  }

  tap() {
    if (AT_REST.includes(this.face.name)) return void this.start();
    if (this.muted || this.privacy) return this.mute(false);
    this.link?.tap("tap");
  }

  hold() {
    if (AT_REST.includes(this.face.name)) return; // a slow press starts when it ends
    this.holding = true;
    if (this.muted || this.privacy) this.mute(false);
    this.link?.tap("hold");
    this.face.hold(true);
  }

  release() {
    if (!this.holding) return this.tap();
    this.holding = false;
    this.link?.tap("release");
    this.face.hold(false);
  }

  /** Stops what is being said, or leaves the pocket. */
  escape() {
    if (this.settings.open) return;
    if (["speaking", "thinking", "paused"].includes(this.face.name)) this.link?.tap("tap");
    else if (this.face.pocket) this.pocket(false);
  }

  /** @param {boolean} on */
  mute(on) {
    if (!this.link) return;
    if (!on && this.privacy) this.link.tap("tap"); // the session muted itself: a tap is what wakes it
    this.muted = on;
    this.#applyPrivacy();
  }

  /** @param {boolean} on */
  pocket(on) {
    this.face.pocketMode(on);
    this.level.show(!on);
    if (on) document.documentElement.requestFullscreen?.().catch(() => {}); // no gesture by the edge of the screen
    else if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  }

  // -- microphone and camera -------------------------------------------------------------------------------------------

  async #openMicrophone() {
    return this.#try("microphone", () => this.media.openMicrophone());
  }

  async #openCamera() {
    if (this.muted || this.privacy) return true; // it is opened when the privacy ends
    return this.#try("camera", () => this.media.openCamera());
  }

  /** @param {"microphone"|"camera"} kind @param {() => Promise<void>} open */
  async #try(kind, open) {
    try {
      await open();
      this.announcer.clear(`${kind}_denied`, `${kind}_missing`, `${kind}_busy`, "insecure");
      return true;
    } catch (error) {
      if (!(error instanceof MediaFailure)) throw error;
      this.#tellState(kind, error.code === "denied" ? "denied" : "off");
      this.announcer.trouble(error.code === "insecure" ? "insecure" : `${kind}_${error.code}`);
      return false;
    } finally {
      await this.settings.show();
    }
  }

  async #applyPrivacy() {
    const on = this.muted || this.privacy;
    this.face.mute(on);
    this.glasses.bluetooth.mute(on);
    await this.#try("camera", () => this.media.privacy(on));
    this.#tellState("microphone", on ? "off" : "on");
  }

  #followMedia() {
    this.media.addEventListener("track", (event) => {
      const { kind, track } = /** @type {CustomEvent} */ (event).detail;
      if (kind === "camera") this.face.showView(track);
      else this.level.listen(track, this.link?.player.context ?? null);
      this.link?.replaceTrack(kind === "camera" ? "video" : "audio", track);
      this.#tellState(kind, track ? "on" : "off");
    });
    this.media.addEventListener("trouble", (event) => {
      const { kind, code } = /** @type {CustomEvent} */ (event).detail;
      if (code === "back") this.announcer.relief(`${kind}_back`, [`${kind}_paused`, `${kind}_lost`]);
      else this.announcer.trouble(`${kind}_${code}`);
      this.#tellState(kind, code === "back" ? "on" : code === "paused" ? "paused" : "off");
    });
    this.media.addEventListener("devices", () => this.settings.show());
  }

  /** @param {"microphone"|"camera"} kind @param {string} state */
  #tellState(kind, state) {
    this.states[kind] = kind === "microphone" && state === "on" && (this.muted || this.privacy) ? "off" : state;
    this.link?.send({ type: kind, state: this.states[kind] });
  }

  // -- the link --------------------------------------------------------------------------------------------------------

  /** @param {Link} link */
  #followLink(link) {
    /** @param {string} name @param {(detail: any) => void} act */
    const on = (name, act) => link.addEventListener(name, (event) => this.link === link && act(/** @type {CustomEvent} */ (event).detail));
    on("state", (detail) => this.#linkChanged(link, detail));
    on("privacy", ({ on: wanted }) => {
      this.privacy = wanted;
      this.#applyPrivacy();
    });
    on("event", (event) => this.#sessionSaid(event));
    on("partners", (count) => this.translation.partners(count));
    on("rtt", (ms) => this.settings.showDelay(ms));
  }

  /** @param {Link} link @param {{state: import("./link.js").LinkState, code?: string, text?: string}} detail */
  #linkChanged(link, { state, code = "", text }) {
    this.face.showConnection(state);
    this.translation.connect(["connected", "lost"].includes(state));
    switch (state) {
      case "connected":
        for (const kind of /** @type {const} */ (["microphone", "camera"])) link.send({ type: kind, state: this.states[kind] });
        this.wasConnected = true;
        return this.announcer.relief("connected_again", ["lost", "unreachable", "full", "busy"]);
      case "lost":
        if (["full", "busy"].includes(code)) this.announcer.trouble(code);
        else if (!["lost", "full", "busy"].includes(this.announcer.shown)) this.announcer.trouble(this.wasConnected ? "lost" : "unreachable");
        return;
      case "replaced":
        this.announcer.trouble("replaced");
        return this.#rest("replaced");
      case "failed":
        this.announcer.trouble(code, text);
        return this.#rest("failed");
      case "ended":
        if (code !== "left" && code !== "dropped") this.announcer.trouble("ended_by_server");
        return this.#rest("ended");
    }
  }

  /** @param {any} event of the session */
  #sessionSaid(event) {
    this.captions.take(event);
    this.translation.take(event);
    if (event.event === "overlay") this.#showSign(event);
    if (event.event === "state") this.face.showSession(event.state);
    else if (event.event === "pause") this.face.showSession("paused");
    else if (event.event === "resume") this.face.showSession("speaking");
    else if (event.event === "remote") this.face.showRemote(event.ports, event.leaves);
    else if (event.event === "notice" || event.event === "error") this.announcer.note(event.text);
  }

  /** @param {any} event the text of a picture in another language */
  async #showSign(event) {
    const item = await this.sign.take(event);
    if (item) this.captions.put(item);
    if (item && this.translation.shown) this.sign.enlarge(item); // the exchanges are out of sight
  }

  /** Everything off. @param {string} face */
  #rest(face) {
    this.glasses.leave();
    this.translation.connect(false);
    this.media.close();
    this.level.listen(null, null);
    this.lock.want(false);
    this.holding = this.muted = this.privacy = false;
    this.pocket(false);
    this.face.mute(false);
    this.face.showView(null);
    this.face.enter(face);
  }
}

new App();

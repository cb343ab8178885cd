// @ts-check
/**
 * Microphone and camera: opened one after the other, so that a refusal of one leaves the other, and watched from then on.
 *
 * iOS pauses the camera of a page that is locked or left, and takes the microphone away during a call: the tracks say `mute`
 * or `ended`. What ended is opened again when the page or the device comes back.
 */

/** @typedef {"microphone"|"camera"} Kind */
/** @typedef {"denied"|"missing"|"busy"|"insecure"} Why */

/** Milliseconds that a track may be muted before anybody is told: switching cameras mutes for a moment. */
const MUTE_MS = 600;

const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 15, max: 30 } };

/** Says why there is no track. */
export class MediaFailure extends Error {
  /** @param {Why} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * Events: `track`, detail {kind: Kind, track: MediaStreamTrack|null}, whenever another track is in use;
 * `trouble`, detail {kind: Kind, code: "paused"|"lost"|"back"|Why}; `devices`, when the list of devices has changed.
 */
export class Media extends EventTarget {
  /** @type {MediaStreamTrack|null} */ microphone = null;
  /** @type {MediaStreamTrack|null} */ camera = null;
  /** `environment`, `user`, `none` or a device's id */
  cameraChoice = "environment";
  echoCancellation = true;
  #inputs = "";
  #listening = false;
  #private = false;
  /** What worked once and was not closed since: these are opened again. @type {Set<Kind>} */ #wanted = new Set();
  /** Which kinds are in trouble, and by what. @type {Map<Kind, string>} */ #troubles = new Map();

  /**
   * Opens the microphone, or opens it anew with other settings.
   * @throws {MediaFailure}
   */
  async openMicrophone() {
    this.microphone?.stop(); // iOS and Chrome keep the echo canceller of a device as it is while any track of it lives
    try {
      // Noise suppression stays off: recognisers are trained on noise, and it takes consonants away.
      const track = await open({ audio: { echoCancellation: this.echoCancellation, noiseSuppression: false,
        autoGainControl: true, channelCount: 1 } });
      track.enabled = !this.#private;
      track.contentHint = "speech";
      this.#use("microphone", track);
    } catch (error) {
      this.#use("microphone", null);
      throw error;
    }
    this.#inputs = await this.#nameInputs();
    this.#watchDevices();
  }

  /**
   * Opens the camera that was chosen; `none` closes it.
   * @throws {MediaFailure}
   */
  async openCamera() {
    const choice = this.cameraChoice;
    this.camera?.stop();
    if (choice === "none") {
      this.#forget("camera");
      return this.#use("camera", null);
    }
    const facing = choice === "environment" || choice === "user";
    const place = facing ? { facingMode: { ideal: choice } } : { deviceId: { exact: choice } };
    try {
      this.#use("camera", await open({ video: { ...PICTURE, ...place } }).catch((error) => {
        if (facing || error.code !== "missing") throw error;
        return open({ video: PICTURE }); // the chosen webcam is gone, but there is another
      }));
    } catch (error) {
      this.#use("camera", null);
      throw error;
    }
    this.#watchDevices();
  }

  /** Switches microphone and camera off or on: the microphone gives silence, the camera is released and its light goes out.
   * @param {boolean} on
   */
  async privacy(on) {
    this.#private = on;
    if (this.microphone) this.microphone.enabled = !on;
    if (!on) return this.openCamera();
    this.camera?.stop();
    this.#use("camera", null);
  }

  /** Closes everything. */
  close() {
    for (const kind of /** @type {Kind[]} */ (["microphone", "camera"])) {
      this[kind]?.stop();
      this[kind] = null;
      this.#forget(kind);
    }
    this.#private = false;
  }

  /** Opens again what has ended. What still cannot be opened has been told of when it went. */
  async revive() {
    const gone = (/** @type {Kind} */ kind) => this.#wanted.has(kind) && this[kind]?.readyState !== "live";
    if (gone("microphone")) await this.openMicrophone().catch(() => {});
    if (gone("camera") && !this.#private) await this.openCamera().catch(() => {});
  }

  /** The cameras that can be chosen by name; without permission browsers name none. */
  static async cameras() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId);
  }

  /** @param {Kind} kind @param {MediaStreamTrack|null} track */
  #use(kind, track) {
    this[kind] = track;
    if (track) {
      this.#wanted.add(kind);
      this.#watch(kind, track);
      this.#report(kind, "back");
    }
    this.#emit("track", { kind, track });
  }

  /** @param {Kind} kind */
  #forget(kind) {
    this.#wanted.delete(kind);
    this.#troubles.delete(kind);
  }

  /** @param {Kind} kind @param {MediaStreamTrack} track */
  #watch(kind, track) {
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    let patience;
    const mine = () => this[kind] === track;
    track.addEventListener("mute", () => {
      clearTimeout(patience);
      patience = setTimeout(() => mine() && track.muted && this.#report(kind, "paused"), MUTE_MS);
    });
    track.addEventListener("unmute", () => mine() && this.#report(kind, "back"));
    track.addEventListener("ended", () => {
      clearTimeout(patience);
      if (!mine()) return;
      this.#report(kind, "lost");
      this.revive();
    });
  }

  /** @param {Kind} kind @param {"paused"|"lost"|"back"} code */
  #report(kind, code) {
    const before = this.#troubles.get(kind);
    if (code === "back") this.#troubles.delete(kind);
    else this.#troubles.set(kind, code);
    if (before !== code && (before || code !== "back")) this.#emit("trouble", { kind, code });
  }

  #watchDevices() {
    if (this.#listening) return;
    this.#listening = true;
    document.addEventListener("visibilitychange", () => document.hidden || this.revive());
    navigator.mediaDevices.addEventListener("devicechange", async () => {
      this.#emit("devices", {});
      const inputs = await this.#nameInputs();
      const changed = inputs !== this.#inputs && this.microphone?.readyState === "live";
      this.#inputs = inputs;
      // A headset came or went. A track keeps its device in most browsers: only a new one is of the new default.
      if (changed) await this.openMicrophone().catch((error) => this.#emit("trouble", { kind: "microphone", code: error.code }));
      await this.revive();
    });
  }

  async #nameInputs() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "audioinput").map(({ groupId, label }) => `${groupId} ${label}`).sort().join("\n");
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @param {MediaStreamConstraints} constraints of one kind
 * @returns {Promise<MediaStreamTrack>}
 * @throws {MediaFailure}
 */
async function open(constraints) {
  if (!globalThis.isSecureContext || !navigator.mediaDevices) throw new MediaFailure("insecure");
  try {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    return stream.getTracks()[0];
  } catch (error) {
    throw new MediaFailure(whyOf(/** @type {DOMException} */ (error).name));
  }
}

/** @param {string} name of the DOMException (Media Capture and Streams, 10.2) @returns {Why} */
function whyOf(name) {
  switch (name) {
    case "NotAllowedError": case "SecurityError": return "denied";
    case "NotFoundError": case "OverconstrainedError": return "missing";
    default: return "busy"; // NotReadableError, AbortError: the device is there and does not start
  }
}

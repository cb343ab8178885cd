// @ts-check
/**
 * One peer connection with its control channel: sound both ways, the camera's pictures out, one bundle.
 *
 * A camera that is missing or off still has its place in the offer, so that it can be switched on without a new one.
 */

import { fragmentOf, patch, post, remove, renewed } from "./whip.js";

/** Milliseconds that gathering candidates may take: what has not come by then is a network that does not answer. */
const GATHER_MS = 1000;
/** The server gives an offer 15 s to connect. */
const OPEN_MS = 12000;
/** 640x480 at 15 pictures a second needs about 0.8 Mbit/s; more would buy nothing that a still does not give. */
const VIDEO_BITRATE = 1_200_000;

/**
 * Events: `message` (MessageEvent of the control channel), `track` (CustomEvent, detail {track, receiver}).
 */
export class Wire extends EventTarget {
  #resource = "";
  #closed = false;

  /**
   * @param {{audio: MediaStreamTrack|null, video: MediaStreamTrack|null}} tracks
   * @param {string} endpoint
   */
  constructor(tracks, endpoint) {
    super();
    this.endpoint = endpoint;
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.channel = this.connection.createDataChannel("nearsight");
    this.channel.binaryType = "arraybuffer";
    this.senders = {
      audio: this.connection.addTransceiver(tracks.audio ?? "audio", { direction: "sendrecv" }).sender,
      video: this.connection.addTransceiver(tracks.video ?? "video", {
        direction: "sendonly", sendEncodings: [{ maxBitrate: VIDEO_BITRATE }],
      }).sender,
    };
    this.connection.addEventListener("track", ({ track, receiver }) => {
      this.dispatchEvent(new CustomEvent("track", { detail: { track, receiver } }));
    });
    this.channel.addEventListener("message", ({ data }) => this.dispatchEvent(new MessageEvent("message", { data })));
  }

  /** Whether nothing can come of it any more. */
  get closed() {
    const { connectionState } = this.connection;
    return this.#closed || this.channel.readyState === "closed" || connectionState === "closed" || connectionState === "failed";
  }

  /** Whether the network is silent at present. */
  get disconnected() {
    return this.connection.connectionState !== "connected";
  }

  /**
   * Connects.
   * @param {AbortSignal} signal
   * @throws {import("./whip.js").WhipError} the server refuses
   */
  async open(signal) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]);
    await this.connection.setLocalDescription();
    await this.#gathered(limit);
    const { answer, resource } = await post(this.endpoint, this.#localSdp, limit);
    this.#resource = resource;
    await this.connection.setRemoteDescription({ type: "answer", sdp: answer });
    await until(this.channel, ["open", "close"], limit, () => this.channel.readyState !== "connecting");
    if (this.channel.readyState !== "open") throw new DOMException("the control channel did not open", "NetworkError");
  }

  /** Tries other ways to the same peer. @param {AbortSignal} signal */
  async restart(signal) {
    const agreed = /** @type {RTCSessionDescription} */ (this.connection.currentRemoteDescription).sdp;
    await this.connection.setLocalDescription(await this.connection.createOffer({ iceRestart: true }));
    await this.#gathered(signal);
    const { fragment } = await patch(this.#resource, fragmentOf(this.#localSdp), signal);
    await this.connection.setRemoteDescription({ type: "answer", sdp: renewed(agreed, fragment) });
  }

  /** @param {string|ArrayBuffer} data @returns {boolean} whether it was sent */
  send(data) {
    if (this.channel.readyState !== "open") return false;
    this.channel.send(/** @type {any} */ (data));
    return true;
  }

  /** Waits until the channel has sent most of what it took. */
  async drained() {
    this.channel.bufferedAmountLowThreshold = 65_536;
    if (this.channel.bufferedAmount <= 4 * 65_536) return;
    await until(this.channel, ["bufferedamountlow", "close"], AbortSignal.timeout(10_000));
    if (this.channel.readyState !== "open") throw new DOMException("the control channel closed", "NetworkError");
  }

  /** @param {"audio"|"video"} kind @param {MediaStreamTrack|null} track */
  async replaceTrack(kind, track) {
    if (!this.#closed) await this.senders[kind].replaceTrack(track);
  }

  /**
   * Ends it. The server hears of that from DTLS and keeps the wearer's session for a while; a goodbye ends the session too.
   * @param {boolean} [goodbye]
   */
  close(goodbye = false) {
    if (this.#closed) return;
    this.#closed = true;
    if (goodbye && this.#resource) remove(this.#resource);
    this.connection.close();
  }

  get #localSdp() {
    return /** @type {RTCSessionDescription} */ (this.connection.localDescription).sdp;
  }

  /** @param {AbortSignal} signal */
  async #gathered(signal) {
    const patience = AbortSignal.timeout(GATHER_MS);
    const complete = () => this.connection.iceGatheringState === "complete";
    await until(this.connection, ["icegatheringstatechange"], AbortSignal.any([signal, patience]), complete).catch((error) => {
      if (signal.aborted) throw error; // else: what was found has to do
    });
  }
}

/**
 * Waits for any of the events after which the condition holds.
 * @param {EventTarget} target @param {string[]} names @param {AbortSignal} signal @param {() => boolean} [holds]
 */
function until(target, names, signal, holds) {
  return new Promise((resolve, reject) => {
    if (holds?.()) return resolve(undefined);
    if (signal.aborted) return reject(signal.reason);
    const over = new AbortController();
    const end = (/** @type {() => void} */ act) => {
      over.abort();
      act();
    };
    for (const name of names) {
      target.addEventListener(name, () => (holds?.() ?? true) && end(() => resolve(undefined)), { signal: over.signal });
    }
    signal.addEventListener("abort", () => end(() => reject(signal.reason)), { signal: over.signal });
  });
}

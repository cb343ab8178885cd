// @ts-check
/**
 * Bluetooth glasses behind this page: the browser holds the connection, the server asks for reads, writes and subscriptions,
 * and packets go to it as they come. Nothing is touched but the characteristics that the server named before.
 */

/** @typedef {{kinds: string[], names: string[], services: Record<string, string[]>}} Wanted services with their characteristics */
/** @typedef {{link: number, id: number, do: string, of?: string, data?: string}} Request */
/** @typedef {"unsupported"|"off"|"choosing"|"connecting"|"in_use"|"lost"|"refused"} GlassesState */

/** Where a still's piece has the still's number. */
const PACKETS = 0xffffffff;
const HEADER_BYTES = 8;
const PACKET_BYTES = 3;
/** Milliseconds between two messages of packets, and the bytes in one: the server takes 200 messages a second. */
const GATHER_MS = 10;
const MESSAGE_BYTES = 8192;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/** Whether this browser lets a page speak Bluetooth: Chromium does; Safari and Firefox do not. */
export const supported = () => Boolean(/** @type {any} */ (navigator).bluetooth?.requestDevice);

/** Event: `state`, a CustomEvent with detail {state: GlassesState, text?: string}. */
export class Bluetooth extends EventTarget {
  /** @type {GlassesState} */ state = supported() ? "off" : "unsupported";
  /** What the glasses call themselves. */
  model = "";
  /** @type {Wanted|null} */ #wanted = null;
  /** @type {any} */ #device = null;
  /** Number of the present connection; 0 is none. By chance, so that one of a page before is never meant. */
  #link = 0;
  /** @type {Map<string, any>} */ #found = new Map();
  /** @type {Map<string, (event: any) => void>} */ #listeners = new Map();
  /** One request at a time: browsers refuse a second one. @type {Promise<void>} */ #turn = Promise.resolve();
  /** @type {{place: number, value: Uint8Array}[]} */ #waiting = [];
  #number = 0;
  #muted = false;
  #sentAt = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #timer;

  /** @param {(data: object|ArrayBuffer) => boolean} send a control message, or packets */
  constructor(send) {
    super();
    this.send = send;
  }

  /** Takes what may be looked for and touched; the server says so at the start of each of its connections. @param {Wanted} wanted */
  welcome(wanted) {
    this.#wanted = wanted;
    if (this.#device?.gatt.connected) this.#connect(this.#device);
  }

  /** Whether the server can use glasses at all. */
  get wanted() {
    return this.#wanted !== null;
  }

  /** Has the wearer choose, and connects. Called within a click. */
  async choose() {
    if (!this.#wanted || !supported()) return;
    const { kinds, names, services } = this.#wanted;
    const filters = [...kinds.map((kind) => ({ services: [kind] })), ...names.map((name) => ({ name }))];
    this.#enter("choosing");
    let device;
    try {
      device = await /** @type {any} */ (navigator).bluetooth.requestDevice({ filters, optionalServices: Object.keys(services) });
    } catch (error) {
      const code = error instanceof DOMException ? error.name : "";
      // NotFoundError: the wearer closed the list.
      return this.#enter(code === "NotFoundError" ? "off" : "refused", code === "NotFoundError" ? "" : whatFailed(error));
    }
    this.#device = device;
    device.addEventListener("gattserverdisconnected", () => device === this.#device && this.#lost("out of reach", true));
    await this.#connect(device);
  }

  /** Lets the glasses go. */
  leave() {
    const device = this.#device;
    this.#device = null;
    if (this.#link) this.send({ type: "glasses", state: "gone", link: this.#link, reason: "left" });
    this.#forget();
    device?.gatt.disconnect();
    if (supported()) this.#enter("off");
  }

  /** Mutes the glasses with the page, or no longer: the server switches them off at the source. @param {boolean} on */
  mute(on) {
    this.#muted = on;
    this.#tellMuted();
  }

  #tellMuted() {
    this.send({ type: "glasses", state: this.#muted ? "muted" : "unmuted" });
  }

  /** Ends all subscriptions while the server is away: nobody listens, so no microphone is on. */
  pause() {
    const silent = [...this.#listeners.keys()].map((uuid) => this.#found.get(uuid));
    this.#forget();
    for (const one of silent) this.#turn = this.#turn.then(() => one.stopNotifications()).catch(() => {}); // it has ended already
  }

  /** Does what the server asks. @param {Request} request */
  obey(request) {
    if (request.link !== this.#link) return; // it means a connection that has ended
    if (request.do === "disconnect") {
      this.#device?.gatt.disconnect();
      return;
    }
    this.#turn = this.#turn.then(() => this.#answer(request));
  }

  /** Takes what the server says of the glasses. @param {{state: string, model?: string, link?: number, again?: boolean, text?: string}} word */
  heard({ state, model = "", link, again = true, text = "" }) {
    if (state === "in_use" && this.#link) {
      this.model = model;
      this.#enter("in_use");
    } else if (state === "lost" && link === this.#link) {
      this.#lost(text, again);
    }
  }

  /** @param {any} device */
  async #connect(device) {
    this.#forget();
    const link = crypto.getRandomValues(new Uint32Array(1))[0] || 1;
    this.#enter("connecting");
    try {
      const server = await device.gatt.connect();
      const found = new Map();
      for (const [service, characteristics] of Object.entries(/** @type {Wanted} */ (this.#wanted).services)) {
        const there = await server.getPrimaryService(service).catch(missing);
        for (const one of there ? characteristics : []) {
          const characteristic = await there.getCharacteristic(one).catch(missing);
          if (characteristic) found.set(one, characteristic);
        }
      }
      if (device !== this.#device) return;
      this.#link = link;
      this.#found = found;
    } catch (error) {
      if (device === this.#device) this.#again(device, whatFailed(error));
      return;
    }
    this.#tellMuted(); // before the first subscription
    this.send({ type: "glasses", state: "here", link, name: device.name ?? "", found: [...this.#found.keys()] });
  }

  /** @param {string} reason @param {boolean} again */
  #lost(reason, again) {
    const device = this.#device;
    if (this.#link) this.send({ type: "glasses", state: "gone", link: this.#link, reason });
    else if (this.state !== "in_use") return; // an attempt to connect, which tells of its failure itself
    this.#forget();
    device?.gatt.disconnect(); // where it was the server that gave them up
    if (again) return this.#again(device, reason);
    this.#device = null;
    this.#enter("refused", reason);
  }

  /** Tries until they are back: the wearer's leave holds for as long as the page is open. @param {any} device @param {string} reason */
  async #again(device, reason) {
    this.#enter("lost", reason);
    for (let pause = FIRST_PAUSE_MS; device === this.#device && !this.#link; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      if (device !== this.#device || this.#link) return;
      const back = await device.gatt.connect().catch(() => null);
      if (back) return this.#connect(device);
    }
  }

  #forget() {
    for (const [uuid, listener] of this.#listeners) this.#found.get(uuid)?.removeEventListener("characteristicvaluechanged", listener);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#listeners.clear();
    this.#found = new Map();
    this.#waiting = [];
    this.#link = this.#number = 0;
  }

  // -- requests and packets --------------------------------------------------------------------------------------------

  /** @param {Request} request */
  async #answer({ link, id, do: what, of = "", data = "" }) {
    if (link !== this.#link) return;
    /** @type {{data?: string, error?: string}} */
    let answer = {};
    try {
      const characteristic = this.#found.get(of);
      if (!characteristic) throw new Error("not one of the characteristics that were found");
      answer = await this.#do(what, of, characteristic, data);
    } catch (error) {
      answer = { error: whatFailed(error) };
    }
    if (link === this.#link) this.send({ type: "gatt", id, ...answer });
  }

  /** @param {string} what @param {string} of @param {any} characteristic @param {string} data */
  async #do(what, of, characteristic, data) {
    const { write, writeWithoutResponse } = characteristic.properties;
    switch (what) {
      case "read": return { data: toText(await characteristic.readValue()) };
      case "write": case "write_without_response": {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        const response = write && (what === "write" || !writeWithoutResponse);
        await (response ? characteristic.writeValueWithResponse(bytes) : characteristic.writeValueWithoutResponse(bytes));
        return {};
      }
      case "subscribe": {
        this.#unlisten(of, characteristic);
        const place = [...this.#found.keys()].indexOf(of);
        const listener = () => this.#packet(place, characteristic.value);
        this.#listeners.set(of, listener);
        characteristic.addEventListener("characteristicvaluechanged", listener);
        await characteristic.startNotifications();
        return {};
      }
      case "unsubscribe":
        this.#unlisten(of, characteristic);
        await characteristic.stopNotifications();
        return {};
      default: throw new Error("unknown request");
    }
  }

  /** @param {string} uuid @param {any} characteristic */
  #unlisten(uuid, characteristic) {
    const listener = this.#listeners.get(uuid);
    if (listener) characteristic.removeEventListener("characteristicvaluechanged", listener);
    this.#listeners.delete(uuid);
  }

  /** Packets that come fast go together. @param {number} place @param {DataView} view */
  #packet(place, view) {
    this.#waiting.push({ place, value: new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)) });
    const wait = this.#sentAt + GATHER_MS - performance.now();
    if (wait <= 0 || this.#waiting.length * 200 > MESSAGE_BYTES) this.#sendPackets();
    else this.#timer ??= setTimeout(() => this.#sendPackets(), wait);
  }

  #sendPackets() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const packets = this.#waiting;
    this.#waiting = [];
    const message = new Uint8Array(packets.reduce((size, { value }) => size + PACKET_BYTES + value.length, HEADER_BYTES));
    const view = new DataView(message.buffer);
    view.setUint32(0, PACKETS);
    view.setUint32(4, this.#number);
    let at = HEADER_BYTES;
    for (const { place, value } of packets) {
      view.setUint8(at, place);
      view.setUint16(at + 1, value.length);
      message.set(value, at + PACKET_BYTES);
      at += PACKET_BYTES + value.length;
    }
    this.#number += packets.length;
    this.#sentAt = performance.now();
    this.send(message.buffer);
  }

  /** @param {GlassesState} state @param {string} [text] */
  #enter(state, text = "") {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, text } }));
  }
}

/** @param {DataView} view */
function toText(view) {
  return btoa(String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset, view.byteLength)));
}

/** A service or characteristic that these glasses have not; every other failure ends the attempt. @param {unknown} error @returns {any} */
function missing(error) {
  if (error instanceof DOMException && error.name === "NotFoundError") return null;
  throw error;
}

/** @param {unknown} error */
function whatFailed(error) {
  return (error instanceof Error || error instanceof DOMException ? error.message || error.name : String(error)).slice(0, 200);
}

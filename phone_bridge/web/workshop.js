// @ts-check
/** What the developer moves: the network, the engines, recordings, devices. Every refusal is shown in the server's words. */

import { h, words } from "./dom.js";
import { Refusal, desk, request } from "./feed.js";

const SETTLE_MS = 150;

/**
 * Runs something and shows what went wrong.
 * @param {HTMLElement} place a `role="alert"`
 * @param {() => Promise<any>} work
 */
export async function attempt(place, work) {
  place.textContent = "";
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    place.textContent = error.message;
  }
}

/** Three sliders for what the link does to its packets. */
export class Network {
  #wearer = "";
  /** @type {ReturnType<typeof setTimeout>|undefined} */ #settle;

  /** @param {HTMLFormElement} form @param {HTMLElement} alert */
  constructor(form, alert) {
    this.form = form;
    this.alert = alert;
    form.addEventListener("input", () => {
      this.#say();
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => this.#send(), SETTLE_MS);
    });
    form.addEventListener("reset", () => setTimeout(() => form.dispatchEvent(new Event("input"))));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** @param {{name: string, network: {loss: number, delay_ms: number, jitter_ms: number}|null}|undefined} wearer */
  show(wearer) {
    this.#wearer = wearer?.name ?? "";
    const network = wearer?.network;
    for (const input of this.#inputs()) {
      input.disabled = !network;
      const given = network?.[/** @type {"loss"|"delay_ms"|"jitter_ms"} */ (input.name)];
      if (given === undefined || document.activeElement === input) continue;
      input.value = String(input.name === "loss" ? given * 100 : given);
    }
    this.form.classList.toggle("off", !network);
    this.#say();
  }

  #inputs() {
    return /** @type {HTMLInputElement[]} */ ([...this.form.querySelectorAll("input[type=range]")]);
  }

  #say() {
    for (const input of this.#inputs()) {
      const text = input.name === "loss" ? `${input.value} %` : `${input.value} ms`;
      input.setAttribute("aria-valuetext", text);
      /** @type {HTMLOutputElement} */ (this.form.querySelector(`output[for="${input.id}"]`)).value = text;
    }
  }

  #send() {
    if (!this.#wearer) return;
    const [loss, delay, jitter] = this.#inputs().map((input) => Number(input.value));
    attempt(this.alert, () => desk("network", { wearer: this.#wearer, loss: loss / 100, delay_ms: delay, jitter_ms: jitter }));
  }
}

/** The profile, and an engine behind each port. */
export class Engines {
  #shown = "";

  /** @param {HTMLSelectElement} profile @param {HTMLTableSectionElement} body @param {HTMLElement} alert */
  constructor(profile, body, alert) {
    this.profile = profile;
    this.body = body;
    this.alert = alert;
    profile.addEventListener("change", () => this.#change(profile, "profile", { name: profile.value }));
  }

  /** @param {any} household */
  show({ profile, choices, engines }) {
    const shown = JSON.stringify([profile, choices, engines]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    fill(this.profile, choices.profile ?? [profile], profile);
    this.body.replaceChildren(...Object.entries(engines)
      .filter(([port, { engine }]) => choices[port] || engine !== "none")
      .map(([port, { engine, model }]) => this.#port(port, engine, model, choices[port] ?? [engine])));
  }

  /** @param {string} port @param {string} engine @param {string} model @param {string[]} known */
  #port(port, engine, model, known) {
    const select = /** @type {HTMLSelectElement} */ (h("select.small", { "aria-label": `engine for ${words(port)}` }));
    fill(select, known, engine);
    select.addEventListener("change", () => this.#change(select, "engine", { port, engine: select.value }));
    const field = /** @type {HTMLInputElement} */ (h("input.small", { value: model, placeholder: "its own",
      "aria-label": `model for ${words(port)}`, maxLength: 200 }));
    field.addEventListener("change", () => this.#change(field, "engine", { port, engine: select.value, model: field.value }));
    return h("tr", {}, h("th", { scope: "row" }, words(port)), h("td", {}, select), h("td", {}, field));
  }

  /** @param {HTMLSelectElement|HTMLInputElement} control @param {string} command @param {Record<string, string>} args */
  async #change(control, command, args) {
    control.disabled = true;
    this.alert.classList.add("waiting");
    this.alert.textContent = "Loading engines …";
    const done = await attempt(this.alert, () => desk(command, args));
    this.alert.classList.remove("waiting");
    control.disabled = false;
    if (done === undefined) {
      this.#shown = ""; // what was refused must not stay chosen
      this.refused?.();
    }
  }

  /** Called after a refusal, so that the page shows again what is in force. @type {(() => void)|null} */
  refused = null;
}

/** Recordings: begin, end, download, replay. */
export class Recordings {
  #wearer = "";
  #recording = false;
  #replaying = "";

  /** @param {{button: HTMLButtonElement, list: HTMLElement, output: HTMLElement, alert: HTMLElement}} parts */
  constructor({ button, list, output, alert }) {
    this.button = button;
    this.list = list;
    this.output = output;
    this.alert = alert;
    button.addEventListener("click", () => attempt(alert, async () => {
      await desk("record", { wearer: this.#wearer, on: !this.#recording });
      await this.refresh();
    }));
  }

  /** @param {any} household @param {any} wearer */
  show(household, wearer) {
    const changed = this.#recording !== Boolean(wearer?.recording) || this.#replaying !== (household.replaying ?? "");
    this.#wearer = wearer?.name ?? "";
    this.#recording = Boolean(wearer?.recording);
    this.#replaying = household.replaying ?? "";
    this.button.disabled = !wearer;
    this.button.setAttribute("aria-pressed", String(this.#recording));
    this.button.lastChild && (this.button.lastChild.textContent = this.#recording ? "Stop recording" : "Record");
    if (changed) this.refresh();
  }

  /** Asks which recordings there are. */
  async refresh() {
    const { bundles = [] } = (await attempt(this.alert, () => request("GET", "/bundles"))) ?? {};
    const names = bundles.map((/** @type {any} */ bundle) => bundle.name ?? bundle);
    this.list.replaceChildren(...(names.length ? names.map((/** @type {string} */ name) => this.#entry(name))
      : [h("li.none", {}, "No recording yet.")]));
  }

  /** @param {string} name */
  #entry(name) {
    const running = name === this.#replaying;
    const replay = h("button.small", { type: "button", disabled: Boolean(this.#replaying) && !running,
      "aria-label": `${running ? "Stop replaying" : "Replay"} ${name}` }, running ? "Stop" : "Replay");
    replay.addEventListener("click", () => attempt(this.alert, async () => {
      if (!running) this.output.replaceChildren();
      await desk(running ? "stop_replay" : "replay", running ? {} : { bundle: name });
    }));
    const href = `/bundles/${encodeURIComponent(name)}.zip`;
    return h("li", {}, h("span", { title: name }, name), replay,
      h("a.small", { href, download: `${name}.zip`, "aria-label": `Download ${name}` }, "Download"));
  }

  /** @param {any} row of a replay */
  replayed(row) {
    const text = row.text ?? ("exit" in row ? `ended with ${row.exit}` : told(row.line));
    if (!text) return;
    this.output.append(h("li", { className: row.exit ? "bad" : "" }, text));
    while (this.output.children.length > 200) this.output.firstElementChild?.remove();
    this.output.scrollTop = this.output.scrollHeight;
  }
}

/** Paired devices: list, revoke, and a code for one more. */
export class Devices {
  /** @type {ReturnType<typeof setInterval>|undefined} */ #ticks;

  /** @param {{list: HTMLElement, form: HTMLFormElement, code: HTMLElement, alert: HTMLElement}} parts */
  constructor({ list, form, code, alert }) {
    this.list = list;
    this.form = form;
    this.code = code;
    this.alert = alert;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { wearer, role } = Object.fromEntries(new FormData(form));
      attempt(alert, async () => this.#invited(await request("POST", "/devices", { wearer, role })));
    });
  }

  /** Asks which devices there are. */
  async refresh() {
    const { devices = [] } = (await attempt(this.alert, () => request("GET", "/devices"))) ?? {};
    this.list.replaceChildren(...(devices.length ? devices.map((/** @type {any} */ device) => this.#entry(device))
      : [h("li.none", {}, "No device is paired.")]));
  }

  /** @param {any} device */
  #entry(device) {
    const revoke = h("button.small", { type: "button", "aria-label": `Revoke ${device.name}` }, "Revoke");
    let sure = false;
    revoke.addEventListener("click", () => {
      if (!sure) {
        sure = true;
        revoke.textContent = "Sure?";
        setTimeout(() => { sure = false; revoke.textContent = "Revoke"; }, 3000);
        return;
      }
      attempt(this.alert, async () => {
        await request("DELETE", `/devices/${encodeURIComponent(device.id)}`);
        await this.refresh();
      });
    });
    return h("li", {}, h("span", {}, device.name, h("small", {}, `${device.wearer} · ${device.role}`)), revoke);
  }

  /** @param {{url: string, svg?: string, seconds?: number}} invitation */
  #invited({ url, svg, seconds = 600 }) {
    const picture = svg ? new DOMParser().parseFromString(svg, "image/svg+xml").documentElement : null;
    const left = h("small");
    const ends = performance.now() + seconds * 1000;
    const tick = () => {
      const rest = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
      const clock = `${Math.floor(rest / 60)}:${String(rest % 60).padStart(2, "0")}`;
      left.textContent = rest ? `Once, within ${clock}` : "Too old. Make another.";
      if (!rest) clearInterval(this.#ticks);
    };
    clearInterval(this.#ticks);
    this.#ticks = setInterval(tick, 1000);
    tick();
    picture?.setAttribute("role", "img");
    picture?.setAttribute("aria-label", "QR code of the pairing address");
    const alone = ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
    const how = alone ? "This server is for this machine alone, and so is this address. Started with --host 0.0.0.0, it lets phones in."
      : "Scan it with the phone's camera, or open this there:";
    this.code.replaceChildren(...(picture ? [h("div.qr", {}, document.importNode(picture, true))] : []),
      h("p", {}, how, h("code", {}, url), left));
    this.code.hidden = false;
  }
}

/** @param {any} event a line of a replay; partial words would bury the rest */
function told(event) {
  switch (event.event) {
    case "final": return `heard  ${event.text}`;
    case "speak": return `says   ${event.text}`;
    case "barge_in": return "cut off";
    case "turn": return `turn ${event.turn}  ${event.skill}`;
    case "error": return `error  ${event.text}`;
    default: return "";
  }
}

/** @param {HTMLSelectElement} select @param {string[]} names @param {string} chosen */
function fill(select, names, chosen) {
  const all = names.includes(chosen) ? names : [chosen, ...names];
  select.replaceChildren(...all.map((name) => h("option", { value: name, selected: name === chosen }, name)));
}

// @ts-check
/** The developer's dashboard: rows of the desk into views, and the views' commands back. */

import { Conversation } from "./conversation.js";
import { byId, number } from "./dom.js";
import { EventLog } from "./eventlog.js";
import { Feed, desk, request } from "./feed.js";
import { Live } from "./live.js";
import { Panels } from "./panels.js";
import { mountPhone } from "./phone.js";
import { Picture } from "./picture.js";
import { Strip } from "./strip.js";
import { tabs } from "./tabs.js";
import { Waterfall } from "./waterfall.js";
import { Devices, Engines, Network, Recordings, attempt } from "./workshop.js";

const FEED = { live: "live", lost: "lost, trying again", refused: "no entry: this page is the owner's" };
const LOW_DB = -78;
/** Decibels a second by which the peak mark falls. */
const FALL_DB = 20;

class Dashboard {
  feed = new Feed(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/events`);
  strip = new Strip(byId("strip"), byId("strip-readout"));
  conversation = new Conversation(byId("conversation"));
  picture = new Picture(byId("picture"), byId("picture-caption"), byId("picture-found"));
  live = new Live({ stage: byId("live"), caption: byId("live-caption"), age: byId("live-age"), list: byId("followed"),
    alert: byId("live-alert"), tools: byId("live-tools"), middle: byId("follow-middle") });
  waterfall = new Waterfall(byId("turns"), byId("turns-summary"));
  log = new EventLog(byId("log"), byId("log-filter"), byId("log-hold"), byId("log-count"));
  panels = new Panels({ channels: byId("channels"), lanes: byId("lanes"), link: byId("counters") });
  network = new Network(byId("network"), byId("network-alert"));
  engines = new Engines(byId("profile"), byId("ports"), byId("engines-alert"));
  recordings = new Recordings({ button: byId("record"), list: byId("bundles"), output: byId("replay"),
    alert: byId("bundles-alert") });
  devices = new Devices({ list: byId("devices"), form: byId("invite"), code: byId("code"), alert: byId("devices-alert") });
  /** Whose session is shown: that of this page's own glasses, until the developer chooses another. */
  wearer = "";
  #own = "";
  #chosen = false;
  /** @type {any} */ household = { wearers: [], engines: {}, choices: {} };
  #peak = { db: LOW_DB, at: 0 };

  constructor() {
    const on = (/** @type {string} */ name, /** @type {(detail: any) => void} */ take) =>
      this.feed.addEventListener(name, (event) => take(/** @type {CustomEvent} */ (event).detail));
    on("state", (state) => this.#connected(state));
    on("household", (household) => this.#household(household));
    on("meters", (row) => this.#meters(row));
    on("row", (row) => this.#row(row));
    on("restart", () => this.#choose(this.wearer));
    byId("wearer").addEventListener("change", (/** @type {any} */ event) => {
      this.#chosen = true;
      this.#choose(event.target.value);
    });
    byId("log-clear").addEventListener("click", () => this.log.clear());
    byId("ask").addEventListener("submit", (/** @type {Event} */ event) => this.#ask(event));
    this.engines.refused = () => this.engines.show(this.household);
    tabs(byId("pictures"));
    tabs(byId("tools"), (panel) => {
      if (panel === "bundles-panel") this.recordings.refresh();
      if (panel === "devices-panel") this.devices.refresh();
    });
    request("GET", "/me").then(({ wearer }) => { this.#own = wearer; }, () => {}) // whoever is refused is told so by the feed
      .finally(() => this.feed.open());
  }

  /** @param {keyof typeof FEED} state */
  #connected(state) {
    const place = byId("feed-state");
    place.textContent = FEED[state];
    place.dataset.state = state;
    if (state !== "live") document.body.classList.add("stale");
  }

  // -- rows ------------------------------------------------------------------------------------------------------------

  /** @param {any} household */
  #household(household) {
    this.household = household;
    document.body.classList.remove("stale");
    const names = household.wearers.map((/** @type {any} */ wearer) => wearer.name);
    const own = this.#chosen ? undefined : names.find((/** @type {string} */ name) => name.replace(/^webrtc:/, "") === this.#own);
    const chosen = own ?? (names.includes(this.wearer) ? this.wearer : names.at(-1) ?? this.wearer);
    const select = byId("wearer");
    select.replaceChildren(...(names.length ? names : [this.wearer || "no glasses yet"]).map((/** @type {string} */ name) =>
      new Option(name, name, name === chosen, name === chosen)));
    select.disabled = names.length < 2;
    if (chosen !== this.wearer) this.#choose(chosen);
    const wearer = household.wearers.find((/** @type {any} */ item) => item.name === this.wearer);
    byId("profile-name").textContent = household.profile;
    byId("places").textContent = `${names.length} / ${household.places}`;
    this.strip.threshold = household.turns?.speech_threshold ?? 0.5;
    this.live.wearer = wearer ? this.wearer : "";
    this.network.show(wearer);
    this.engines.show(household);
    this.recordings.show(household, wearer);
    for (const control of byId("ask").querySelectorAll("input, button")) control.disabled = !wearer;
    if (!wearer) this.#state("no session");
    else if (byId("turn-state").dataset.state === "no session") this.#state(wearer.state);
  }

  /** Shows another wearer, from what the page remembers. @param {string} wearer */
  #choose(wearer) {
    this.wearer = wearer;
    for (const view of [this.strip, this.conversation, this.picture, this.waterfall, this.log, this.panels]) view.clear();
    for (const row of this.feed.rows) this.#row(row);
    const known = this.household.wearers.find((/** @type {any} */ item) => item.name === wearer);
    this.network.show(known);
    this.recordings.show(this.household, known);
  }

  /** @param {any} row */
  #row(row) {
    if (row.missed) {
      byId("missed").textContent = String(this.feed.missed);
      this.log.add("", "missed", `${row.missed} rows`);
    } else if (row.replay) {
      this.recordings.replayed(row.replay);
      if (row.replay.text) this.log.add("", "replay", row.replay.text);
    } else if (row.wearer !== this.wearer) {
      return;
    } else if (row.frame) {
      this.picture.show(row.frame);
      if (!this.live.following) byId("chosen-tab").click();
    } else if (row.row) {
      for (const view of [this.strip, this.conversation, this.waterfall, this.log]) view.event(row.row);
      if (row.row.event === "state") this.#state(row.row.state);
    }
  }

  /** @param {any} row */
  #meters({ wearer, meters }) {
    const { process = {} } = meters;
    byId("cpu").textContent = process.cpu === undefined ? "–" : `${number(process.cpu * 100)} %`;
    byId("memory").textContent = process.memory_mb === undefined ? "–" : `${number(process.memory_mb)} MB`;
    if (wearer !== this.wearer) return;
    this.strip.measure(meters);
    this.panels.measure(meters, this.household.engines);
    this.#level(meters);
    if (meters.state) this.#state(meters.state);
  }

  /** @param {any} meters */
  #level({ level_db: clean, raw_db: raw }) {
    const share = (/** @type {number|undefined} */ db) => Math.min(1, Math.max(0, ((db ?? LOW_DB) - LOW_DB) / -LOW_DB));
    const now = performance.now();
    const fallen = this.#peak.db - (FALL_DB * (now - this.#peak.at)) / 1000;
    this.#peak = { db: Math.max(clean ?? LOW_DB, fallen), at: now };
    byId("level-clean").style.transform = `scaleY(${share(clean)})`;
    byId("level-raw").style.transform = `scaleY(${share(raw ?? clean)})`;
    byId("level-peak").style.bottom = `${100 * share(this.#peak.db)}%`;
    byId("level-number").textContent = number(clean);
    byId("level").setAttribute("aria-valuenow", number(clean));
  }

  /** @param {string} state */
  #state(state) {
    const place = byId("turn-state");
    if (place.dataset.state === state) return;
    place.dataset.state = state;
    place.textContent = state;
  }

  /** @param {Event} event */
  #ask(event) {
    event.preventDefault();
    const field = byId("ask-text");
    const text = field.value.trim();
    if (!text) return;
    attempt(byId("ask-alert"), async () => {
      await desk("ask", { wearer: this.wearer, text });
      field.value = "";
    });
  }
}

new Dashboard();
mountPhone(byId("phone")).catch((error) => {
  byId("phone").append(`The phone's controls could not be loaded: ${error.message}`);
});

// @ts-check
/**
 * The wearer's view of a translated conversation: both texts of each sentence side by side, how far the translation is behind,
 * buttons to talk for each of the two, a view for both sides of a table, and the conversation as a file.
 *
 * Screen readers are told what the partner said once it is final; what changes while it is spoken is kept from them.
 */

import { choices } from "./device.js";
import { byId, h, number } from "./dom.js";
import { Refusal, request } from "./feed.js";
import { holdable } from "./holding.js";
import { TAGS, englishName, ownName, primary } from "./languages.js";
import { TRANSLATION } from "./messages.js";
import { Pane, write } from "./pane.js";
import { KINDS, Transcript, exported } from "./transcript.js";

/** @typedef {import("./transcript.js").Row} Row */
const SHOWN = 100;
/** A translation that is further behind is marked. */
const LATE_MS = 4000;
/** A pace that nobody hears as one. */
const USUAL_RATE = 1.02;

export class Translation {
  transcript = new Transcript();
  /** @type {Map<string, {item: HTMLElement, who: HTMLElement, marks: HTMLElement, source: HTMLElement, target: HTMLElement}>} */
  #places = new Map();
  #section = byId("translation");
  #list = byId("sentences");
  #sheet = /** @type {HTMLDialogElement} */ (byId("translate-sheet"));
  #choice = /** @type {HTMLSelectElement} */ (byId("translate-to"));
  #both = /** @type {HTMLInputElement} */ (byId("translate-both"));
  #panes = { wearer: new Pane(byId("across-wearer"), "wearer"), partner: new Pane(byId("across-partner"), "partner") };
  #send;
  #connected = false;
  /** Whether the newest is in view; a reader who has scrolled up to something older stays there. */
  #following = true;

  /** @param {(message: {type: string, [key: string]: any}) => void} send */
  constructor(send) {
    this.#send = send;
    this.#fillLanguages();
    byId("translate").addEventListener("click", () => this.#open());
    byId("translate-more").addEventListener("click", () => this.#open());
    byId("translate-start").addEventListener("click", () => this.#start());
    byId("translate-stop").addEventListener("click", () => this.#ask("stop translating", true));
    byId("translate-again").addEventListener("click", () => this.#ask("say that again"));
    byId("translate-slower").addEventListener("click", () => this.#ask("slower"));
    byId("translate-turn").addEventListener("click", () => this.turn(true));
    byId("turn-back").addEventListener("click", () => this.turn(false));
    byId("partner-invite").addEventListener("click", () => this.#invite());
    for (const side of ["wearer", "partner"]) {
      for (const button of document.querySelectorAll(`[data-speak=${side}]`)) {
        holdable(/** @type {HTMLButtonElement} */ (button), (on) => this.#send({ type: "tap", name: on ? `speak:${side}` : "speak:end" }));
      }
    }
    for (const button of document.querySelectorAll("[data-save]")) {
      button.addEventListener("click", () => this.#save(/** @type {any} */ (button).dataset.save));
    }
    this.#sheet.addEventListener("click", (event) => event.target === this.#sheet && this.#sheet.close()); // its backdrop
    this.#section.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.turn(false));
    this.#list.addEventListener("scroll", () => {
      this.#following = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 24;
    });
    new ResizeObserver(() => this.#scroll()).observe(this.#list); // a longer line above took room
    this.#draw();
  }

  /** Whether a conversation is shown. */
  get shown() {
    return !this.#section.hidden;
  }

  /** @param {boolean} connected whether there is a session to ask */
  connect(connected) {
    this.#connected = connected;
    if (!connected) this.turn(false);
    this.#draw();
  }

  /** Takes an event of the session. @param {any} event */
  take(event) {
    if (event.event === "passed_over") return this.#passedOver(event);
    const was = this.transcript.on;
    const row = this.transcript.take(event);
    if (event.event === "interpreting") {
      if (!was && event.on) this.#sheet.close();
      return this.#draw();
    }
    if (!row) return;
    this.#show(row);
    for (const side of /** @type {const} */ (["wearer", "partner"])) this.#panes[side].show(row, this.transcript.languages[side]);
    if (event.event === "translation") this.#behind(event.lag_ms);
    if (event.event === "translation" && event.final) this.#announce(row);
    if (event.event === "spoken") this.#paced(event);
  }

  /** Shows how many pages of the partner are open. @param {number} count */
  partners(count) {
    byId("partner-count").textContent = TRANSLATION.partners(count);
    if (count) byId("partner-code").hidden = true; // the invitation is used
  }

  /** Lays the text out for both sides of a table, or no longer. @param {boolean} on */
  turn(on) {
    if (byId("across").hidden !== on) return;
    byId("across").hidden = !on;
    byId(on ? "turn-back" : "translate-turn").focus({ preventScroll: true });
  }

  // -- what is said ------------------------------------------------------------------------------------------------------

  /** @param {Row} row */
  #show(row) {
    const place = this.#places.get(row.key) ?? this.#place(row.key);
    place.item.dataset.speaker = row.speaker || "unknown";
    place.item.toggleAttribute("data-open", !row.target.final);
    const pair = [row.source.language, row.target.language].filter(Boolean).map(englishName).join(" → ");
    place.who.textContent = [TRANSLATION.speakers[/** @type {"wearer"} */ (row.speaker)], pair].filter(Boolean).join(" · ");
    place.marks.hidden = !row.spoken.some(({ shortened }) => shortened);
    write(place.source, row.source);
    write(place.target, row.target.final ? { ...row.target, text: row.target.record || row.target.text } : row.target);
    this.#scroll();
  }

  /** @param {string} key */
  #place(key) {
    const who = h("span");
    const marks = h("span.mark", { hidden: true }, TRANSLATION.shortened);
    const source = h("p.source");
    const target = h("p.target");
    const item = h("li.pair", {}, h("p.who", {}, who, marks), source, target);
    const place = { item, who, marks, source, target };
    this.#places.set(key, place);
    this.#put(item);
    if (this.#places.size > SHOWN) {
      const [[oldest, { item: gone }]] = this.#places;
      gone.remove();
      this.#places.delete(oldest);
    }
    return place;
  }

  /** @param {{reason: string, text?: string, speaker: string}} event */
  #passedOver({ reason, text = "" }) {
    const why = TRANSLATION.passedOver[/** @type {"failed"} */ (reason)];
    if (!why) return;
    const note = this.#list.lastElementChild?.classList.contains("passed") ? this.#list.lastElementChild : h("li.passed");
    note.textContent = text ? `“${text}” ${why}` : why;
    this.#put(/** @type {HTMLElement} */ (note));
  }

  /** @param {HTMLElement} item */
  #put(item) {
    this.#list.append(item);
    byId("sentences-none").hidden = true;
    this.#scroll();
  }

  #scroll() {
    if (this.#following) this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** @param {number} ms */
  #behind(ms) {
    const place = byId("lag");
    place.textContent = TRANSLATION.behind(number(ms / 1000, 1));
    place.toggleAttribute("data-late", ms > LATE_MS);
  }

  /** @param {{lag_ms: number, rate: number}} event */
  #paced({ lag_ms: lag, rate }) {
    this.#behind(lag);
    byId("rate").textContent = rate > USUAL_RATE ? TRANSLATION.catchingUp(number(rate, 2)) : "";
  }

  /** @param {Row} row */
  #announce(row) {
    if (row.speaker === "wearer") return; // who has just said it knows it
    const polite = byId("translation-said");
    polite.lang = row.target.language;
    polite.textContent = row.target.record || row.target.text;
  }

  // -- what can be done --------------------------------------------------------------------------------------------------

  /** @param {string} words @param {boolean} [close] */
  #ask(words, close = false) {
    this.#send({ type: "ask", text: words });
    if (close) this.#sheet.close();
  }

  #start() {
    const tag = this.#choice.value;
    choices.set("translate", tag);
    choices.set("translate-both", this.#both.checked ? "on" : "off");
    const what = this.#both.checked ? "translate this conversation to" : "translate to";
    this.#ask(`${what} ${englishName(tag).toLowerCase()}`, true);
  }

  #open() {
    this.#draw();
    if (!this.#sheet.open) this.#sheet.showModal();
  }

  async #invite() {
    const code = byId("partner-code");
    const alert = byId("partner-alert");
    alert.textContent = "";
    try {
      const { url, svg } = await request("POST", "/partner/invite", {});
      const picture = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
      picture.setAttribute("role", "img");
      picture.setAttribute("aria-label", TRANSLATION.code);
      code.replaceChildren(document.adoptNode(picture), h("p.fact", {}, TRANSLATION.once), h("p.address", {}, url));
      code.hidden = false;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      alert.textContent = error.message;
    }
  }

  /** @param {keyof typeof KINDS} kind */
  #save(kind) {
    const text = exported(this.transcript.finished(), kind);
    const url = URL.createObjectURL(new Blob([text], { type: `${KINDS[kind]};charset=utf-8` }));
    h("a", { href: url, download: `conversation.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000); // Safari begins to read only after a while
  }

  #fillLanguages() {
    const own = primary(navigator.language);
    const offered = TAGS.map((tag) => ({ tag, name: englishName(tag) })).sort((a, b) => a.name.localeCompare(b.name, "en"));
    this.#choice.replaceChildren(...offered.map(({ tag, name }) => {
      const native = ownName(tag);
      return new Option(native.toLowerCase() === name.toLowerCase() ? name : `${name} · ${native}`, tag);
    }));
    this.#choice.value = choices.get("translate", own === "es" ? "en" : "es");
    if (!this.#choice.value) this.#choice.value = "es";
    this.#both.checked = choices.get("translate-both", "on") === "on";
  }

  #draw() {
    const { on, languages, both, target } = this.transcript;
    const some = this.transcript.finished().length > 0;
    document.body.toggleAttribute("data-translating", on && this.#connected);
    this.#section.hidden = !(on && this.#connected);
    if (this.#section.hidden) this.turn(false);
    byId("translate").setAttribute("aria-pressed", String(on && this.#connected));
    byId("translate-off").hidden = on && this.#connected;
    byId("translate-on").hidden = !(on && this.#connected);
    byId("translate-fact").textContent = this.#connected ? "" : TRANSLATION.start;
    /** @type {HTMLButtonElement} */ (byId("translate-start")).disabled = !this.#connected;
    byId("translate-save").hidden = !some;
    const names = both || !target ? [languages.wearer, languages.partner] : [target];
    byId("translation-pair").textContent = both ? names.map((tag) => (tag ? englishName(tag) : TRANSLATION.finding)).join(" ⇄ ")
      : TRANSLATION.into(englishName(target || languages.wearer));
    if (!on) byId("lag").textContent = byId("rate").textContent = "";
    for (const side of /** @type {const} */ (["wearer", "partner"])) {
      const tag = languages[side];
      for (const place of document.querySelectorAll(`[data-language=${side}]`)) {
        place.textContent = tag ? ownName(tag) : TRANSLATION.speakers[side];
        if (tag) /** @type {HTMLElement} */ (place).lang = tag;
      }
    }
  }
}

// @ts-check
/** What was said on both sides. Words of a reply that nobody heard are faded. */

import { split } from "./captions.js";
import { clock, h, number, words } from "./dom.js";
import { request } from "./feed.js";
import { remotely, tracked } from "./messages.js";

const KEPT = 80;

export class Conversation {
  #present = true;
  /** @type {HTMLElement|null} what the wearer is saying */ #question = null;
  /** @type {Map<number, HTMLElement>} replies under way, by turn */ #replies = new Map();
  /** @type {Map<number, string>} what was said, by sentence, until its translation is there */ #sources = new Map();

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
    this.clear();
  }

  clear() {
    this.#question = null;
    this.#replies.clear();
    this.#sources.clear();
    this.list.replaceChildren(h("p.none", {}, "Nobody has spoken yet."));
  }

  /** @param {any} event */
  event(event) {
    switch (event.event) {
      case "session": this.#remark("note", `session on ${event.link}, profile ${event.profile}`); break;
      case "wake": this.#drop(); break;
      case "partial": this.#say(event.text, true); break;
      case "final": this.#final(event); break;
      case "speak": this.#speak(event); break;
      case "pause": this.#mark(event.turn, "paused"); break;
      case "resume": this.#mark(event.turn, `went on: ${words(event.reason)}`); break;
      case "turn": this.#turn(event); break;
      case "notice": this.#remark("note", event.text); break;
      case "error": this.#remark("fault", event.text); break;
      case "track": this.#remark("note", tracked(event)); break;
      case "remote": this.#remark("note", remotely(event.ports)); break;
      case "interpreting": this.#remark("note", event.on ? "translating what is said" : "no longer translating"); break;
      case "source": this.#source(event); break;
      case "translation": this.#translated(event); break;
      case "watch": this.#watched(event); break;
      case "link": this.#link(event.present); break;
      case "end": this.#remark("note", `session over: ${event.reason}`); break;
      default:
    }
  }

  /** @param {boolean} present */
  #link(present) {
    if (present !== this.#present) this.#remark("note", present ? "the glasses are back" : "the glasses are out of reach");
    this.#present = present;
  }

  /** @param {string} text @param {boolean} partial */
  #say(text, partial) {
    if (!this.#question) {
      this.#question = h("p.said.wearer");
      this.#add(this.#question);
    }
    this.#question.classList.toggle("partial", partial);
    this.#question.replaceChildren(text || "…");
    this.#follow();
  }

  /** @param {any} event */
  #final(event) {
    this.#say(event.text, false);
    const sure = `${event.source ? `${event.source}, ` : ""}${Math.round(event.confidence * 100)} % sure`;
    this.#question?.append(h("small", {}, `${clock(event.t_ms)} · ${sure}`));
    this.#question = null;
  }

  #drop() {
    if (this.#question?.classList.contains("partial")) this.#question.remove();
    this.#question = null;
  }

  /** @param {any} event */
  #speak(event) {
    const reply = this.#reply(event.turn);
    const text = /** @type {HTMLElement} */ (reply.firstElementChild);
    text.textContent = `${text.textContent ?? ""} ${event.text}`.trim();
    this.#follow();
  }

  /** @param {number} turn @param {string} text */
  #mark(turn, text) {
    this.#reply(turn).lastElementChild?.append(h("span.tag", {}, text));
  }

  /** @param {any} event */
  #turn(event) {
    this.#drop();
    const reply = this.#reply(event.turn);
    this.#replies.delete(event.turn);
    const [heard, unheard] = split(event.answer, event.heard);
    reply.firstElementChild?.replaceChildren(heard, unheard ? h("span.unheard", { title: "not heard" }, unheard) : "");
    if (!heard && !unheard) reply.firstElementChild?.replaceChildren(h("em", {}, "said nothing"));
    reply.lastElementChild?.prepend(h("span.tag", {}, words(event.skill)),
      event.interrupted ? h("span.tag.cut", {}, "interrupted") : "");
    this.#follow();
  }

  /** @param {any} event */
  #source({ sentence, text, final }) {
    if (final) this.#sources.set(sentence, text);
  }

  /** A sentence and its translation, once both are over. @param {any} event */
  #translated({ sentence, speaker, language, text, record, final, lag_ms: lag }) {
    if (!final) return;
    const side = speaker === "wearer" ? "wearer" : "reply";
    this.#add(h(`p.said.${side}`, {}, h("span", { lang: language }, record || text),
      h("small", {}, `${this.#sources.get(sentence) ?? ""} · ${number(lag / 1000, 1)} s behind`)));
    this.#sources.delete(sentence);
  }

  /** @param {number} turn */
  #reply(turn) {
    const known = this.#replies.get(turn);
    if (known) return known;
    const made = h("p.said.reply", {}, h("span"), h("small"));
    this.#replies.set(turn, made);
    this.#add(made);
    return made;
  }

  /** @param {string} kind @param {string} text */
  #remark(kind, text) {
    this.#add(h(`p.remark.${kind}`, {}, text));
  }

  /** What a watch saw, and on demand the files that it kept: the clip is there some seconds after the event. @param {any} event */
  #watched({ text, sure, folder }) {
    const remark = h("p.remark.watch", {}, sure ? text : `${text} (not sure)`);
    const name = encodeURIComponent(folder.split(/[/\\]/).pop());
    if (name) {
      const button = h("button.small", { type: "button" }, "Show what was kept");
      const links = h("span", { role: "status" });
      button.addEventListener("click", async () => {
        const { files = [] } = await request("GET", `/kept/${name}`).catch(() => ({}));
        links.replaceChildren(...(files.length ? files.map((/** @type {string} */ file) =>
          h("a", { href: `/kept/${name}/${encodeURIComponent(file)}`, target: "_blank", rel: "noopener" }, file)) : ["Nothing yet."]));
      });
      remark.append(button, links);
    }
    this.#add(remark);
  }

  /** @param {HTMLElement} item */
  #add(item) {
    this.list.querySelector(".none")?.remove();
    this.list.append(item);
    while (this.list.children.length > KEPT) this.list.firstElementChild?.remove();
    this.#follow();
  }

  /** Shows the newest, unless the reader has scrolled up to something older. */
  #follow() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    if (scrollHeight - scrollTop - clientHeight < 160) this.list.scrollTop = scrollHeight;
  }
}

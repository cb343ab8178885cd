// @ts-check
/**
 * The conversation in words: what was understood while it is spoken, what is answered as it is heard.
 *
 * Words of a reply that was cut off stay, faded: they were never heard. Screen readers are told a finished answer, once; the
 * partial words change several times a second and are kept from them.
 */

import { LABELS, tracked } from "./messages.js";

const KEPT = 30;

export class Captions {
  #list;
  #polite;
  #start;
  /** @type {{item: HTMLElement, said: HTMLElement, reply: HTMLElement, turn: number|null, answer: string}|null} */ #now = null;

  /**
   * @param {HTMLElement} list where exchanges are put, the newest last
   * @param {HTMLElement} polite an `aria-live="polite"` that nobody sees
   * @param {HTMLElement} start what is shown until there is an exchange
   */
  constructor(list, polite, start) {
    this.#list = list;
    this.#polite = polite;
    this.#start = start;
    new ResizeObserver(() => this.#scroll()).observe(/** @type {HTMLElement} */ (list.parentElement)); // a banner took room
  }

  /** Takes an event of the session (edge/events.py); those without words are ignored. @param {any} event */
  take(event) {
    switch (event.event) {
      case "partial": return this.#heard(event.text, true);
      case "final": return this.#heard(event.text, false);
      case "speak": return this.#speak(event);
      case "pause": return this.#pause(event.turn, true);
      case "resume": return this.#pause(event.turn, false);
      case "barge_in": return this.#cut(event);
      case "turn": return this.#end(event);
      case "track": return ["lost", "found"].includes(event.change) && this.#note(tracked(event));
      case "watch": return this.#note(event.text);
    }
  }

  /** @param {string} text @param {boolean} partial */
  #heard(text, partial) {
    if (!text || text === this.#now?.said.textContent && !partial) return this.#settle();
    const now = this.#now && this.#now.turn === null ? this.#now : this.#begin();
    now.said.textContent = text;
    now.item.toggleAttribute("data-partial", partial);
    this.#scroll();
  }

  #settle() {
    this.#now?.item.removeAttribute("data-partial");
  }

  /** @param {{turn: number, text: string}} event */
  #speak({ turn, text }) {
    const now = this.#of(turn);
    now.answer = now.answer ? `${now.answer} ${text}` : text;
    now.reply.textContent = now.answer;
    this.#scroll();
  }

  /** @param {number} turn @param {boolean} on */
  #pause(turn, on) {
    if (this.#now?.turn === turn) this.#now.item.toggleAttribute("data-paused", on);
  }

  /** @param {{turn: number, heard: string}} event */
  #cut({ turn, heard }) {
    const now = this.#now;
    if (!now || now.turn !== turn) return;
    now.item.removeAttribute("data-paused");
    showHeard(now.reply, now.answer, heard);
  }

  /** @param {{turn: number, transcript: string, answer: string, heard: string, interrupted: boolean}} event */
  #end({ turn, transcript, answer, heard, interrupted }) {
    const now = this.#of(turn);
    if (transcript) now.said.textContent = transcript;
    now.answer = answer || now.answer;
    now.item.removeAttribute("data-partial");
    now.item.removeAttribute("data-paused");
    if (interrupted) showHeard(now.reply, now.answer, heard);
    else now.reply.textContent = now.answer;
    this.#polite.textContent = now.answer ? `${LABELS.answered} ${interrupted ? heard : now.answer}` : "";
    this.#scroll();
  }

  /** What happened in view. It is also spoken, so that screen readers are not told again. @param {string} text */
  #note(text) {
    const item = document.createElement("li");
    item.className = "note";
    item.textContent = text;
    this.put(item);
  }

  /** @param {number} turn */
  #of(turn) {
    const now = this.#now && (this.#now.turn === null || this.#now.turn === turn) ? this.#now : this.#begin();
    now.turn = turn;
    this.#settle();
    return now;
  }

  #begin() {
    const item = document.createElement("li");
    const said = line(item, "said", LABELS.said);
    const reply = line(item, "reply", LABELS.answered);
    this.put(item);
    this.#now = { item, said, reply, turn: null, answer: "" };
    return this.#now;
  }

  /** Puts something of its own among the exchanges. @param {HTMLElement} item */
  put(item) {
    this.#list.append(item);
    this.#start.hidden = true;
    while (this.#list.childElementCount > KEPT) this.#list.firstElementChild?.remove();
    this.#scroll();
  }

  #scroll() {
    const box = /** @type {HTMLElement} */ (this.#list.parentElement);
    box.scrollTop = box.scrollHeight;
  }
}

/** @param {HTMLElement} item @param {string} name @param {string} speaker */
function line(item, name, speaker) {
  const paragraph = document.createElement("p");
  paragraph.className = name;
  const who = document.createElement("span");
  who.className = "unseen";
  who.textContent = `${speaker} `;
  const words = document.createElement("span");
  words.className = "words";
  paragraph.append(who, words);
  item.append(paragraph);
  return words;
}

/** Shows an answer with what was not heard of it faded. @param {HTMLElement} place @param {string} answer @param {string} heard */
function showHeard(place, answer, heard) {
  const [before, after] = split(answer, heard);
  place.textContent = before;
  if (!after) return;
  const rest = document.createElement("span");
  rest.className = "unheard";
  const note = document.createElement("span");
  note.className = "unseen";
  note.textContent = ` ${LABELS.notHeard}`;
  rest.append(after, note);
  place.append(rest);
}

/** Cuts an answer after as many words as were heard. @param {string} answer @param {string} heard @returns {[string, string]} */
export function split(answer, heard) {
  const count = heard.trim() ? heard.trim().split(/\s+/).length : 0;
  const words = answer.match(/\s*\S+/g) ?? [];
  return [words.slice(0, count).join(""), words.slice(count).join("")];
}

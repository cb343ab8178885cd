// @ts-check
/**
 * A translated conversation: what the session tells of it (edge/translation.py), sentence by sentence, and its text as files.
 *
 * The files have the forms of edge/policy/captions.py; a cue here is a whole sentence, which players break into lines.
 */

/**
 * @typedef {{language: string, text: string, tail: string, final: boolean}} Side
 * @typedef {object} Row one sentence
 * @property {string} key
 * @property {number} sentence
 * @property {string} speaker `wearer`, `partner`, or empty where nobody can tell
 * @property {Side} source
 * @property {Side & {record: string}} target
 * @property {number} start_ms media time
 * @property {number} end_ms
 * @property {{text: string, start_ms: number, rate: number, shortened: boolean}[]} spoken
 */

const KEPT = 1000;
const NOTHING = { language: "", text: "", tail: "", final: false };

export class Transcript {
  /** @type {Map<string, Row>} in the order in which they began */ rows = new Map();
  on = false;
  /** Each side's language; empty while it is still to be found. */
  languages = { wearer: "", partner: "" };
  both = false;
  target = "";

  /** Takes an event. @param {any} event @returns {Row|null} the sentence that changed */
  take(event) {
    switch (event.event) {
      case "interpreting":
        this.on = event.on;
        this.languages = { wearer: event.mine, partner: event.theirs };
        this.both = event.both;
        this.target = event.target;
        return null;
      case "source": return this.#heard(event);
      case "translation": return this.#translated(event);
      case "spoken": return this.#spoken(event);
      default: return null;
    }
  }

  /** The sentences that are over, in the order in which they were begun to be spoken. @returns {Row[]} */
  finished() {
    return [...this.rows.values()].filter(({ source, target }) => source.final && target.final && source.text.trim())
      .sort((a, b) => a.start_ms - b.start_ms);
  }

  /** @param {any} event */
  #heard({ run = 0, sentence, speaker, language, text, tail = "", final, start_ms, end_ms }) {
    const row = this.#row(run, sentence, speaker);
    row.source = { language, text, tail, final };
    Object.assign(row, { start_ms, end_ms });
    return row;
  }

  /** @param {any} event */
  #translated({ run = 0, sentence, speaker, language, text, tail = "", final, record = "", start_ms }) {
    const row = this.#row(run, sentence, speaker);
    row.target = { language, text, tail, final, record };
    row.start_ms ||= start_ms;
    return row;
  }

  /** @param {any} event */
  #spoken({ run = 0, sentence, text, start_ms, rate, shortened }) {
    const row = this.rows.get(`${run}/${sentence}`);
    if (!row || row.spoken.some((piece) => piece.start_ms === start_ms)) return null; // told again to a page that came back
    row.spoken.push({ text, start_ms, rate, shortened });
    return row;
  }

  /** @param {number} run @param {number} sentence @param {string} speaker @returns {Row} */
  #row(run, sentence, speaker) {
    const key = `${run}/${sentence}`;
    let row = this.rows.get(key);
    if (!row) {
      row = { key, sentence, speaker: "", source: NOTHING, target: { ...NOTHING, record: "" }, start_ms: 0, end_ms: 0, spoken: [] };
      this.rows.set(key, row);
      if (this.rows.size > KEPT) this.rows.delete(/** @type {string} */ (this.rows.keys().next().value));
    }
    row.speaker = speaker || row.speaker;
    return row;
  }
}

/** The types of the files, by the ends of their names. */
export const KINDS = { vtt: "text/vtt", srt: "application/x-subrip", txt: "text/plain", json: "application/json" };

/** Gives the text of a file. @param {Row[]} rows finished ones @param {keyof typeof KINDS} kind */
export function exported(rows, kind) {
  return { vtt, srt, txt, json }[kind](rows);
}

/** @param {Row[]} rows */
function vtt(rows) {
  const blocks = cues(rows).map(({ row, start, end }, index) => {
    const spans = [row.source, row.target].filter(({ text }) => text)
      .map((side) => `<lang ${side.language}>${escaped(side === row.target ? recorded(row) : line(side.text))}</lang>`);
    return `${index + 1}\n${clock(start)} --> ${clock(end)}\n${row.speaker ? `<v ${capital(row.speaker)}>` : ""}${spans.join("\n")}`
      + (row.speaker ? "</v>" : "");
  });
  return `${["WEBVTT", ...blocks].join("\n\n")}\n`;
}

/** SubRip has no escapes: what a player would take for a tag is written with other brackets. @param {Row[]} rows */
function srt(rows) {
  const plain = (/** @type {string} */ text) => text.replace(/[<>{}\\]/g, (sign) => ({ "<": "‹", ">": "›", "{": "(", "}": ")" })[sign] ?? "/");
  return cues(rows).map(({ row, start, end }, index) =>
    `${[index + 1, `${clock(start, ",")} --> ${clock(end, ",")}`, plain(line(row.source.text)), plain(recorded(row))].join("\n")}\n`).join("\n");
}

/** @param {Row[]} rows */
function txt(rows) {
  return rows.map((row) => {
    const head = `[${clock(row.start_ms).slice(0, 8)}]${row.speaker ? ` ${capital(row.speaker)}` : ""}`;
    const texts = [[row.source.language, line(row.source.text)], [row.target.language, recorded(row)]];
    return `${[head, ...texts.map(([language, text]) => `  ${language.padEnd(3)} ${text}`.trimEnd())].join("\n")}\n`;
  }).join("\n");
}

/** @param {Row[]} rows */
function json(rows) {
  const sentences = rows.map((row, index) => ({
    sentence: index + 1, speaker: row.speaker, start_ms: row.start_ms, end_ms: row.end_ms,
    source: { language: row.source.language, text: line(row.source.text) },
    target: { language: row.target.language, text: recorded(row), streamed: line(row.target.text) },
    spoken: row.spoken,
  }));
  return `${JSON.stringify({ format: 1, sentences }, null, 1)}\n`;
}

const SHORTEST_MS = 833;
const LETTERS_A_SECOND = 17;

/** Long enough to be read where the next one leaves the time, and never two at once. @param {Row[]} rows */
function cues(rows) {
  let free = 0;
  return rows.map((row, index) => {
    const start = Math.max(row.start_ms, free);
    const read = (1000 * Math.max(row.source.text.length, recorded(row).length)) / LETTERS_A_SECOND;
    const next = rows[index + 1]?.start_ms ?? Infinity;
    free = Math.max(Math.min(Math.max(row.end_ms, start + read), next), start + SHORTEST_MS);
    return { row, start, end: free };
  });
}

/** The whole sentence translated for the record; what was given out bit by bit where there is no such. @param {Row} row */
function recorded({ target }) {
  return line(target.record || target.text);
}

/** @param {string} text */
const line = (text) => text.split(/\s+/).filter(Boolean).join(" ");
/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {number} ms @param {string} [point] */
function clock(ms, point = ".") {
  const total = Math.max(0, Math.round(ms));
  const two = (/** @type {number} */ n) => String(n % 60).padStart(2, "0");
  const hours = String(Math.floor(total / 3_600_000)).padStart(2, "0");
  return `${hours}:${two(Math.floor(total / 60_000))}:${two(Math.floor(total / 1000))}${point}${String(total % 1000).padStart(3, "0")}`;
}

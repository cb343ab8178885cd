// @ts-check
/**
 * The rows of the desk: a WebSocket that goes on where it broke off.
 *
 * Rows are numbered. After a break the page asks for what came after its last one; where the server has been restarted
 * (another epoch) the numbers begin anew, and so does the page.
 */

/**
 * @typedef {{n: number, wearer?: string, row?: any, meters?: any, frame?: any, household?: any, replay?: any,
 *   missed?: number}} Row
 */

const KEPT = 2000;
const PICTURES = 12;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

/** Events: `row` (detail: Row, all but household and meters), `meters`, `household`, `restart`, `state` (detail: text). */
export class Feed extends EventTarget {
  /** @type {Row[]} rows that are kept for a change of wearer, by number */
  rows = [];
  missed = 0;
  #since = 0;
  #epoch = "";
  #failures = 0;
  #url;

  /** @param {string} url */
  constructor(url) {
    super();
    this.#url = url;
  }

  /** Connects, and stays connected. */
  open() {
    const socket = new WebSocket(`${this.#url}?since=${this.#since}`);
    let restarted = false;
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      this.#emit("state", "live");
    });
    socket.addEventListener("message", ({ data }) => {
      restarted ||= this.#take(data);
      if (restarted) socket.close();
    });
    socket.addEventListener("close", async () => {
      if (restarted) return this.open();
      // A page is not told why a socket was refused; a plain request is.
      if (!opened && (await refused())) return this.#emit("state", "refused");
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
      this.#failures += 1;
      this.#emit("state", "lost");
      setTimeout(() => this.open(), pause);
    });
  }

  /**
   * Takes a row; says whether the numbers begin anew and the stream must be asked for from its start.
   * @param {string} data
   */
  #take(data) {
    const row = /** @type {Row} */ (JSON.parse(data));
    this.#failures = 0;
    if (row.household) {
      const { epoch } = row.household;
      if (this.#epoch && epoch !== this.#epoch) {
        this.#epoch = epoch;
        this.#since = 0;
        this.rows = [];
        this.missed = 0;
        this.#emit("restart", null);
        return true;
      }
      this.#epoch = epoch;
      this.#emit("household", row.household);
    } else if (row.meters) {
      this.#emit("meters", row);
    } else if (row.missed) {
      this.missed += row.missed;
      this.#emit("row", row);
    } else if (row.n > this.#since) {
      this.#since = row.n;
      this.#keep(row);
      this.#emit("row", row);
    }
    return false;
  }

  /** @param {Row} row */
  #keep(row) {
    this.rows.push(row);
    if (this.rows.length > KEPT) this.rows.shift();
    if (!row.frame) return;
    const pictures = this.rows.filter((kept) => kept.frame);
    if (pictures.length > PICTURES) this.rows.splice(this.rows.indexOf(pictures[0]), 1);
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Whether this page may not see the desk: its key is no good, or not an owner's. */
async function refused() {
  const answer = await fetch("/devices").catch(() => null);
  return answer?.status === 401 || answer?.status === 403;
}

/** A refusal of the server, in its own words. */
export class Refusal extends Error {
  /** @param {string} code @param {string} text */
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

/**
 * Asks the server for something in JSON. Throws Refusal.
 * @param {string} method @param {string} url @param {any} [body]
 * @returns {Promise<any>}
 */
export async function request(method, url, body) {
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refusal("unreachable", "The server cannot be reached.");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(told.code ?? String(answer.status), told.text ?? `The server answered ${answer.status}.`);
  return told;
}

/**
 * Gives the desk a command. Throws Refusal.
 * @param {string} command @param {Record<string, any>} [args]
 */
export function desk(command, args = {}) {
  return request("POST", "/desk", { name: command, arguments: args });
}

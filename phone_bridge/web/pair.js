// @ts-check
/**
 * Pairing: the one-time token comes in the address's fragment, which browsers send to no server, and leaves the address bar
 * before anything else happens, so that it is in no history and on no screenshot.
 */

import { deviceName } from "./device.js";
import { PAIRING } from "./messages.js";

const PATIENCE_MS = 10_000;
const NAME_LENGTH = 40;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (element("form"));
const field = /** @type {HTMLInputElement} */ (element("name"));
const button = /** @type {HTMLButtonElement} */ (element("pair"));

/** Where a paired device goes on. @type {Record<string, string>} */
const PLACES = { simulate: "/simulate", partner: "/partner" };

/** Reads `#TOKEN` or `#token=TOKEN`, either with `&to=simulate` or `&to=partner`. @param {string} hash */
function read(hash) {
  const [first, ...rest] = hash.replace(/^#/, "").split("&");
  const fields = new URLSearchParams([first.includes("=") ? first : `token=${first}`, ...rest].join("&"));
  return { token: fields.get("token") ?? "", to: PLACES[fields.get("to") ?? ""] ?? "/" };
}

/** @param {string} text */
function trouble(text) {
  element("trouble").hidden = !text;
  element("trouble").textContent = text;
}

/** Says why the server refused. @param {Response} response */
async function whyNot(response) {
  if (response.status === 429) return PAIRING.busy;
  const { code = "" } = await response.json().catch(() => ({}));
  const known = ["token_used", "token_expired", "token_unknown", "too_many_devices"].find((word) => word === code);
  return known ? PAIRING[known] : [401, 403, 404].includes(response.status) ? PAIRING.token_unknown : PAIRING.failed;
}

/** @param {string} token @param {string} to */
async function pair(token, to) {
  const name = field.value.trim();
  if (!name || name.length > NAME_LENGTH) return trouble(PAIRING.name);
  trouble("");
  button.disabled = true;
  try {
    const response = await fetch("/pair", {
      method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, name }), signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!response.ok) return trouble(await whyNot(response));
    form.hidden = true;
    element("done").textContent = PAIRING.done;
    location.replace(to); // the key is in a cookie that no script can read; the answer's copy of it is left unread
  } catch {
    trouble(PAIRING.unreachable);
  } finally {
    button.disabled = false;
  }
}

const { token, to } = read(location.hash);
history.replaceState(null, "", location.pathname);
if (token) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    pair(token, to);
  });
  deviceName().then((name) => {
    if (!field.value) field.value = (name || PAIRING.device).slice(0, NAME_LENGTH);
    field.select();
  });
} else {
  trouble(PAIRING.none);
}
// A second code scanned into the same tab changes only the fragment, which loads nothing by itself.
addEventListener("hashchange", () => location.hash && location.reload());

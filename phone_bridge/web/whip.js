// @ts-check
/** WHIP (RFC 9725) over fetch: an offer is posted, its resource patched for an ICE restart and deleted at the end. */

const ANSWER_MS = 8000;

/** A refusal by the server. */
export class WhipError extends Error {
  /** @param {number} status @param {string} code @param {string} text @param {number|null} retryAfter in seconds */
  constructor(status, code, text, retryAfter) {
    super(`${status} ${code}`);
    this.status = status;
    this.code = code;
    this.text = text;
    this.retryAfter = retryAfter;
  }
}

/**
 * Offers a connection.
 * @param {string} endpoint @param {string} offer @param {AbortSignal} signal
 * @returns {Promise<{answer: string, resource: string, etag: string}>}
 * @throws {WhipError} the server refuses
 * @throws {TypeError|DOMException} the server cannot be reached, or not in time
 */
export async function post(endpoint, offer, signal) {
  const response = await request(endpoint, signal, { method: "POST", type: "application/sdp", body: offer });
  const place = response.headers.get("Location") ?? "";
  return {
    answer: await response.text(),
    resource: new URL(place, new URL(endpoint, location.href)).href,
    etag: response.headers.get("ETag") ?? "*",
  };
}

/**
 * Restarts ICE.
 * @param {string} resource @param {string} fragment what `fragmentOf` gives of the new offer @param {AbortSignal} signal
 * @returns {Promise<{fragment: string, etag: string}>}
 */
export async function patch(resource, fragment, signal) {
  // RFC 9725, 4.3.3: a restart matches any entity tag, since the one in hand is of the ICE session that is lost.
  const response = await request(resource, signal, {
    method: "PATCH", type: "application/trickle-ice-sdpfrag", body: fragment, headers: { "If-Match": "*" },
  });
  return { fragment: await response.text(), etag: response.headers.get("ETag") ?? "*" };
}

/** Ends a connection; the request outlives the page. @param {string} resource */
export function remove(resource) {
  fetch(resource, { method: "DELETE", keepalive: true, credentials: "same-origin" }).catch(() => {
    // The server is gone, or learns of our going from ICE: nobody is left to be told.
  });
}

/**
 * @param {string} url @param {AbortSignal} signal
 * @param {{method: string, type: string, body: string, headers?: Record<string, string>}} what
 */
async function request(url, signal, { method, type, body, headers = {} }) {
  const response = await fetch(url, {
    method, body, credentials: "same-origin", headers: { "Content-Type": type, ...headers },
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  });
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  const retryAfter = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  throw new WhipError(response.status, String(said.code ?? ""), String(said.text ?? ""),
    Number.isFinite(retryAfter) ? retryAfter : null);
}

/**
 * Gives the ICE part of an offer as an SDP fragment (RFC 8840): all media share the first one's transport.
 * @param {string} offer
 */
export function fragmentOf(offer) {
  const lines = offer.split(/\r?\n/);
  const first = lines.findIndex((line) => line.startsWith("m="));
  const second = lines.findIndex((line, n) => n > first && line.startsWith("m="));
  const session = lines.slice(0, first).filter((line) => line.startsWith("a=group:BUNDLE"));
  const media = lines.slice(first, second < 0 ? undefined : second);
  const ice = media.filter((line) => /^a=(mid|ice-ufrag|ice-pwd|candidate|end-of-candidates)/.test(line));
  return [...session, media[0], ...ice, ""].join("\r\n");
}

/**
 * Puts the new ICE parts of a fragment into the answer that was agreed on before.
 * @param {string} answer @param {string} fragment
 */
export function renewed(answer, fragment) {
  const ice = fragment.split(/\r?\n/);
  const wanted = /^a=(ice-ufrag|ice-pwd)/;
  const names = ice.filter((line, n) => wanted.test(line) && ice.findIndex((other) => sameName(other, line)) === n);
  const candidates = ice.filter((line) => /^a=(candidate|end-of-candidates)/.test(line));
  if (names.length !== 2) throw new SyntaxError("the fragment has no ice-ufrag and ice-pwd");
  const kept = answer.split(/\r?\n/).filter((line) => line && !/^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)/.test(line));
  const out = [];
  let media = 0;
  for (const line of kept) {
    out.push(line);
    if (line.startsWith("a=mid:")) out.push(...names, ...(media++ === 0 ? candidates : []));
  }
  return [...out, ""].join("\r\n");
}

/** @param {string} one @param {string} other */
function sameName(one, other) {
  return one.split(":")[0] === other.split(":")[0];
}

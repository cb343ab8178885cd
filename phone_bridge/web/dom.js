// @ts-check
/** Elements without a framework. Text always goes in as text: what was heard and read comes from the world. */

/** @typedef {Node|string|number|null|undefined|false} Child */

/**
 * Makes an element.
 * @param {string} name `tag` or `tag.class.other`
 * @param {Record<string, any>} [props] properties; keys with a hyphen, and `role` and `for`, are set as attributes
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (key.includes("-") || key === "role" || key === "for") made.setAttribute(key, String(value));
    else /** @type {any} */ (made)[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map(node));
  return made;
}

/** @param {any} child */
function node(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/**
 * Finds an element that the page must have.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** @param {number|undefined|null} value @param {number} [digits] */
export function number(value, digits = 0) {
  return typeof value === "number" && Number.isFinite(value) ? value.toFixed(digits) : "–";
}

/** Media time as people write it: 1:04.3. @param {number} ms */
export function clock(ms) {
  const tenths = Math.max(0, Math.floor(ms / 100));
  return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
}

/** @param {string} name */
export function words(name) {
  return name.replaceAll("_", " ");
}

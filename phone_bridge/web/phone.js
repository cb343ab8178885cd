// @ts-check
/**
 * The phone's page inside the dashboard: its own markup and its own script, so that there is one of each.
 *
 * The markup is taken from the page at `/`, since scripts of both find their elements by the same ids.
 */

const PARTS = [".sprite", ".facts", "#banner", "main", ".tools", "#sheet", "#translate-sheet", "#state", "#answer", "#translation-said"];

/**
 * Brings the phone's controls into a pane and starts them.
 * @param {HTMLElement} pane
 */
export async function mountPhone(pane) {
  const answer = await fetch("/");
  if (!answer.ok) throw new Error(`the phone's page: ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of PARTS) {
    const found = page.querySelector(part);
    if (!found) throw new Error(`the phone's page has no ${part}`);
    const shown = document.adoptNode(found);
    if (part !== "main") {
      pane.append(shown);
      continue;
    }
    const body = document.createElement("div"); // this page has its own main
    body.className = "phone-body";
    body.append(...shown.childNodes);
    pane.append(body);
  }
  document.body.dataset.face = "off";
  await import("./app.js");
}

// @ts-check
/** A button that is held: by a finger, the mouse, space or enter. A click of assistive technology switches it on, another off. */

/** @param {HTMLButtonElement} button @param {(on: boolean) => void} held */
export function holdable(button, held) {
  let on = false;
  let endedAt = -Infinity;
  const set = (/** @type {boolean} */ wanted) => {
    if (on === wanted) return;
    on = wanted;
    if (!on) endedAt = performance.now();
    button.setAttribute("aria-pressed", String(on));
    held(on);
  };
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    button.setPointerCapture(event.pointerId); // a thumb that slides off still holds
    set(true);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(name, () => set(false));
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  for (const [name, wanted] of /** @type {[string, boolean][]} */ ([["keydown", true], ["keyup", false]])) {
    button.addEventListener(name, (event) => {
      const { key, repeat } = /** @type {KeyboardEvent} */ (event);
      if (key !== " " && key !== "Enter") return;
      event.preventDefault(); // no click besides
      event.stopPropagation();
      if (!repeat) set(wanted);
    });
  }
  button.addEventListener("click", () => {
    if (performance.now() - endedAt > 500) set(!on);
  });
  addEventListener("blur", () => set(false));
  document.addEventListener("visibilitychange", () => document.hidden && set(false));
}

// @ts-check
/** Languages by their BCP 47 tags, named by the browser itself. */

/** What can be chosen to translate to; which of them there are engines for, the session says when it is asked. */
export const TAGS = ("ar bg bn ca cs da de el en es et eu fa fi fr gl he hi hr hu id is it ja ko lt lv ms nb nl pl pt ro ru "
  + "sk sl sr sv sw ta th tr uk ur vi zh").split(" ");

/** @param {string} tag @returns {string} the part that tells languages apart */
export const primary = (tag) => tag.toLowerCase().split(/[-_]/)[0];

/** In English: Spanish. @param {string} tag */
export const englishName = (tag) => name(tag, "en");

/** In the language itself: español. @param {string} tag */
export const ownName = (tag) => name(tag, tag);

/** @param {string} tag @param {string} by whose readers are to understand it */
function name(tag, by) {
  try {
    return new Intl.DisplayNames([by], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag; // no tag at all
  }
}

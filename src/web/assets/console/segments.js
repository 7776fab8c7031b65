// How many short messages a text is: what the networks carry, and charge. The daemon counts in the same way
// (src/channel/shared/segments.rs).

const BASIC = new Set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà");
const EXTENDED = new Set("\f^{}\\[~]|€");

const places = (c) => (BASIC.has(c) ? 1 : EXTENDED.has(c) ? 2 : 0);

/** Typography costs nothing, if nothing else keeps a text out of the small alphabet: it goes out written plainly. */
function economical(text) {
  const plain = text
    .replace(/[‘’‚‛′`´]/g, "'").replace(/[“”„‟″«»]/g, "\"").replace(/[‐‑‒–—―−•·]/g, "-").replace(/…/g, "...")
    .replace(/[\u00a0\u2000-\u200a\u202f\t]/g, " ").replace(/[\u200b-\u200d\u2060\ufeff\u00ad]/g, "");
  return [...plain].every(places) ? plain : text;
}

/** @returns {{n: number, encoding: string, left: number}} How many, and how many places are left in the last. */
export function count(given) {
  const text = [...economical(given)];
  const small = text.every(places);
  const [alone, each] = small ? [160, 153] : [70, 67];
  const width = small ? places : (c) => c.length;
  const units = text.reduce((sum, c) => sum + width(c), 0);
  if (units <= alone) return { n: 1, encoding: small ? "GSM-7" : "UCS-2", left: alone - units };
  let [segments, used] = [1, 0];
  for (const c of text) {
    // What takes two places is never cut.
    if (used + width(c) > each) [segments, used] = [segments + 1, 0];
    used += width(c);
  }
  return { n: segments, encoding: small ? "GSM-7" : "UCS-2", left: each - used };
}

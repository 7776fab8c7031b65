// A box in which one of many is chosen by typing: canned answers, commands, tickets, people.

import { h, fill, openBox, toast } from "./dom.js";
import { say } from "./words.js";

/** So long after a key it is looked again. */
const LOOK_AFTER = 150;

/**
 * Asks for one of what `find` gives for the words so far: `{ text, more, … }`, with `href` where choosing it is going
 * there. `preview` shows more of the one that is marked. Whoever closes it without choosing calls `none`.
 */
export function pick({ title, find, choose, preview, none }) {
  let found = [];
  let at = 0;
  let turn = 0;
  let chosen = null;
  let timer;
  const list = h("ul.options", { role: "listbox", id: "picker-options", "aria-label": title });
  const beside = h("div.preview", { "aria-live": "polite", hidden: !preview });
  const input = h("input", { type: "text", role: "combobox", "aria-label": title, placeholder: title, autocomplete: "off",
    "aria-expanded": "true", "aria-controls": "picker-options", "aria-autocomplete": "list",
    on: { input: () => { clearTimeout(timer); timer = setTimeout(look, LOOK_AFTER); }, keydown: key } });
  const box = h("dialog.picker", { "aria-label": title }, input, h("div.columns-2", null, list, beside));

  async function look() {
    const mine = ++turn;
    const entries = await Promise.resolve(find(input.value.trim())).catch((problem) => [{ text: problem.message, disabled: true }]);
    if (mine !== turn) return;
    found = entries;
    at = 0;
    fill(list, found.length
      ? found.map((entry, place) => h("li", { role: "option", id: `option-${place}`, "aria-selected": String(place === at), "aria-disabled": entry.disabled ? "true" : null,
        on: { click: () => { at = place; take(); }, pointermove: () => { if (at !== place) mark(place); } } },
      h("span", { dir: "auto" }, entry.text), entry.more ? h("span.small", null, entry.more) : null))
      : h("li.small", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, say("no_hits")));
    mark(0);
  }

  function mark(place) {
    at = place;
    for (const [number, option] of [...list.children].entries()) option.setAttribute("aria-selected", String(number === at && found.length > 0));
    input.setAttribute("aria-activedescendant", found[at] ? `option-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
    if (!preview) return;
    const entry = found[at];
    fill(beside);
    if (entry && !entry.disabled) {
      Promise.resolve(preview(entry)).catch((problem) => problem.message)
        .then((shown) => { if (found[at] === entry) fill(beside, shown); });
    }
  }

  function take() {
    const entry = found[at];
    if (!entry || entry.disabled) return;
    chosen = entry;
    box.close();
  }

  function key(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      event.preventDefault();
      mark((at + step + found.length) % found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      take();
    }
  }

  box.addEventListener("keydown", (event) => event.stopPropagation());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  openBox(box, () => {
    clearTimeout(timer);
    if (!chosen) none?.();
    else if (chosen.href) location.hash = chosen.href;
    else Promise.resolve(choose(chosen)).catch((problem) => toast(say("failed", { why: problem.message }), { error: true }));
  });
  input.focus();
  look();
}

/** Those whose text holds all words. */
export const filtered = (entries, words) => {
  const wanted = words.toLowerCase().split(/\s+/);
  return entries.filter((entry) => wanted.every((word) => `${entry.text} ${entry.more ?? ""}`.toLowerCase().includes(word)));
};

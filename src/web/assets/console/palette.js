// Whatever can be done, found by typing; and the keys, told.

import { api } from "./api.js";
import { h, openBox } from "./dom.js";
import { VIEWS } from "./list.js";
import { filtered, pick } from "./picker.js";
import { say } from "./words.js";

/** Commands: lists, pages, what can be done with the open ticket; and tickets that hold the words. */
export function showPalette(desk, pages, page) {
  const go = (text, href) => ({ text, more: say("go_there"), href });
  const act = (text, key, action) => ({ text, more: key, action });
  const commands = [
    ...(page?.compose ? [
      act(say("key_reply"), "r", () => page.compose("reply")), act(say("key_note"), "n", () => page.compose("note")), act(say("key_solve"), "e", () => page.solve()),
      act(say("take"), "", () => page.change({ assignee: "me" })), act(say("canned"), "/", () => page.canned()),
    ] : []),
    ...VIEWS.map((view) => go(say(view.name), `#/${view.name}`)),
    ...desk.views.map((view) => go(view.name, `#/view/${view.id}`)),
    ...pages.map((name) => go(say(name), `#/${name}`)),
    act(say("keys"), "?", showKeys),
  ];
  pick({
    title: say("palette"),
    find: async (words) => {
      const fits = filtered(commands, words);
      if (!words) return fits;
      const tickets = await api.tickets({ q: `${words.replace(/^#/, "")}*`, limit: 8, sort: "-updated_at" }).catch(() => ({ items: [] }));
      const number = /^#?(\d+)$/.exec(words)?.[1];
      const named = number ? await api.ticket(number).catch(() => null) : null;
      return [...(named ? [named] : []), ...tickets.items.filter((one) => one.id !== named?.id)]
        .map((ticket) => ({ text: `#${ticket.number} ${ticket.subject}`, more: ticket.contact.name, href: `#/ticket/${ticket.number}` })).concat(fits);
    },
    choose: (entry) => entry.action(),
  });
}

export function showKeys() {
  const keys = [["j", "key_next"], ["k", "key_prev"], ["Enter", "key_open"], ["r", "key_reply"], ["n", "key_note"],
    ["e", "key_solve"], ["/", "key_search"], ["x", "key_pick"], ["Ctrl Enter", "key_send"], ["Ctrl K", "palette"], ["Esc", "key_back"], ["?", "key_help"]];
  const box = h("dialog", { "aria-label": say("keys") },
    h("h2", null, say("keys")),
    h("dl.keys", null, keys.map(([key, words]) => [h("dt", null, h("kbd", null, key)), h("dd", null, say(words))])),
    h("p.small", null, say("key_canned")),
    h("form", { method: "dialog" }, h("button", null, say("close"))));
  openBox(box);
}

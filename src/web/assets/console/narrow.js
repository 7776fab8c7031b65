// The boxes by which a list is narrowed.

import { h } from "./dom.js";
import { say } from "./words.js";

/** What a list can be narrowed by, with the values that there are. */
export function filterBar(filter, words, people, change, save) {
  const choice = (name, label, values) => h("label", null, h("span.small", null, label),
    h("select", { name, on: { change: (event) => change(name, event.target.value) } },
      [["", say("any")], ...values, ...(filter[name] && !values.some(([value]) => value === filter[name]) ? [[filter[name], filter[name]]] : [])]
        .map(([value, text]) => h("option", { value, selected: value === (filter[name] ?? "") }, text))));
  const plain = (names) => names.map((name) => [name, name]);
  return h("div.narrow", { id: "narrow" },
    choice("status", say("status"), ["open", "pending", "solved", "closed", "spam"].map((one) => [one, say(`status.${one}`)])),
    choice("priority", say("priority"), ["low", "normal", "high", "urgent"].map((one) => [one, say(`priority.${one}`)])),
    choice("channel", say("channel"), plain(words.channels)),
    choice("queue", say("queue"), [["none", say("none")], ...plain(words.queues)]),
    choice("tag", say("tags"), plain(words.tags)),
    choice("assignee", say("assignee"), [["me", say("me")], ["none", say("nobody")], ...people.map((one) => [one.id, one.name])]),
    choice("waiting", say("waiting_for"), [["us", say("waiting.us")], ["customer", say("waiting.customer")]]),
    h("button.small.save-view", { type: "button", on: { click: save } }, say("save_view")));
}

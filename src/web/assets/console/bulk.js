// Several tickets changed together: each as it was seen in the list, so that nobody's change is overwritten.

import { api } from "./api.js";
import { h, toast } from "./dom.js";
import { say } from "./words.js";

/** What can be done with all that are marked in a list. */
export function bulkBar(list) {
  const number = list.picked.size;
  const act = (words, patch) => h("button.small", { type: "button", on: { click: () => change(list, patch) } }, words);
  const choice = (label, values, patch) => h("select", { "aria-label": label, on: { change: (event) => change(list, patch(event.target.value)) } },
    h("option", { value: "", selected: true }, label), values.map(([value, text]) => h("option", { value }, text)));
  return h("div.bulk", { role: "group", "aria-label": say("picked", { n: number }) },
    h("span.small", null, say("picked", { n: number })),
    act(say("take"), () => ({ assignee: "me" })),
    act(say("solved"), () => ({ status: "solved" })),
    act(say("spam"), () => ({ status: "spam" })),
    choice(say("assignee"), [["none", say("nobody")], ...list.desk.people.map((one) => [one.id, one.name])], (value) => () => ({ assignee: value === "none" ? null : value })),
    choice(say("priority"), ["low", "normal", "high", "urgent"].map((one) => [one, say(`priority.${one}`)]), (priority) => () => ({ priority })),
    h("button.small", { type: "button", on: { click: () => {
      const tag = prompt(say("which_tag"))?.trim();
      if (tag) change(list, (ticket) => ({ tags: [...new Set([...ticket.tags, tag])] }));
    } } }, say("add_tag")),
    h("button.small.use-macro", { type: "button", on: { click: () => useMacro(list) } }, say("canned")),
    h("button.link", { type: "button", on: { click: () => { list.picked.clear(); list.draw(); } } }, say("pick_none")));
}

/** Does something to each ticket that is marked; says how many somebody else had changed meanwhile. */
async function each(list, action) {
  const wanted = list.items.filter((ticket) => list.picked.has(ticket.id));
  let failed = 0;
  let why = "";
  while (wanted.length) {
    await Promise.all(wanted.splice(0, 4).map(async (ticket) => {
      try {
        await action(ticket);
        list.picked.delete(ticket.id);
      } catch (problem) {
        failed += 1;
        why = problem.status === 412 || problem.status === 409 ? say("changed_meanwhile") : problem.message;
      }
    }));
  }
  if (failed) toast(say("bulk_failed", { n: failed, why }), { error: true, seconds: 10 });
  await list.refresh();
}

const change = (list, patch) => each(list, (ticket) => api.change(ticket.id, ticket.version, patch(ticket)));

/** One canned answer to all of them, with what it does besides. */
async function useMacro(list) {
  const { applyMacro, chooseMacro } = await import("./macros.js");
  await chooseMacro(null, (macro) => {
    if (confirm(say("macro_sure", { name: macro.name, n: list.picked.size }))) each(list, (ticket) => applyMacro(macro, ticket));
  });
}

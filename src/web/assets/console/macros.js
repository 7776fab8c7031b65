// Canned answers and what is done with them: chosen where somebody writes, and kept on a page of their own.

import { api, wish } from "./api.js";
import { h, openBox, toast } from "./dom.js";
import { filtered, pick } from "./picker.js";
import { button, page, table } from "./running.js";
import { LANGUAGES, say } from "./words.js";

const VARIABLES = ["contact.name", "ticket.number", "ticket.subject", "ticket.status", "ticket.priority", "ticket.queue", "channel.name", "agent.name", "agent.email"];

/** What a macro does besides, in words. */
export function deeds(actions) {
  const { status, priority, queue, assignee, tags } = actions;
  return [
    status && `${say("status")}: ${say(`status.${status}`)}`, priority && `${say("priority")}: ${say(`priority.${priority}`)}`,
    queue && `${say("queue")}: ${queue}`, assignee && `${say("assignee")}: ${assignee === "me" ? say("me") : assignee}`,
    tags?.length && `${say("tags")}: + ${tags.join(", ")}`,
  ].filter(Boolean).join(" · ");
}

const entries = (items) => items.map((one) => ({ ...one, text: one.name, more: deeds(one.actions) || Object.keys(one.texts).join(", ") }));

/** Asks for a macro; shows what it comes to on a ticket before it is chosen. */
export async function chooseMacro(ticket, choose, none) {
  const { items } = await api.macros();
  const all = entries(items);
  pick({
    title: say("canned"), none,
    find: (words) => (all.length ? filtered(all, words) : [{ text: say("no_macros"), href: "#/macros" }]),
    preview: async (entry) => {
      if (!entry.id) return null;
      if (!ticket) return [Object.entries(entry.texts).map(([language, text]) => h("p.text", { dir: "auto", lang: language }, text)), h("p.small", null, entry.more)];
      const shown = await api.useMacro(ticket.id, entry.id, {});
      return [shown.text ? h("p.text", { dir: "auto", lang: shown.language }, shown.text) : null, deeds(shown.actions) ? h("p.small", null, deeds(shown.actions)) : null];
    },
    choose: async (entry) => choose(entry, ticket ? (await api.useMacro(ticket.id, entry.id, {})).text : null),
  });
}

/** Sends and does a macro on one ticket as it was seen. */
export const applyMacro = (macro, ticket) => api.useMacro(ticket.id, macro.id, { apply: true }, wish(), ticket.version);

// ---- the page ----

function form(one, desk, done) {
  const actions = one?.actions ?? {};
  const texts = one?.texts ?? {};
  const languages = [...new Set([...LANGUAGES, ...Object.keys(texts)])];
  const field = (name, value, props) => h("label", null, h("span.small", null, say(name)), h("input", { name, value: value ?? "", ...props }));
  const choice = (name, values, now) => h("label", null, h("span.small", null, say(name)), h("select", { name },
    [["", "–"], ...values].map(([value, words]) => h("option", { value, selected: value === (now ?? "") }, words))));
  const box = h("dialog.macro", { "aria-label": one?.name ?? say("new_macro") });
  const element = h("form", { method: "dialog", on: { submit: async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(element));
    const what = {
      name: given.name.trim(),
      texts: Object.fromEntries(languages.map((language) => [language, given[`text.${language}`].trim()]).filter(([, text]) => text)),
      actions: Object.fromEntries(["status", "priority", "queue", "assignee"].map((key) => [key, given[key].trim()]).filter(([, value]) => value)),
    };
    const tags = given.tags.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean);
    if (tags.length) what.actions.tags = tags;
    try {
      await (one ? api.changeMacro(one.id, one.version, what) : api.addMacro(what));
      box.close();
      done();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true, seconds: 10 });
    }
  } } },
  h("h2", null, one?.name ?? say("new_macro")),
  field("name", one?.name, { required: true, maxlength: 100 }),
  languages.map((language) => h("label", null, h("span.small", null, `${say("text")} (${language})`), h("textarea", { name: `text.${language}`, rows: 3, dir: "auto", lang: language, value: texts[language] ?? "" }))),
  h("p.small", null, say("variables"), " ", VARIABLES.map((name) => [h("code", null, `{{${name}}}`), " "])),
  h("div.inline", null,
    choice("status", ["open", "pending", "solved", "closed", "spam"].map((value) => [value, say(`status.${value}`)]), actions.status),
    choice("priority", ["low", "normal", "high", "urgent"].map((value) => [value, say(`priority.${value}`)]), actions.priority),
    choice("assignee", [["me", say("me")], ...desk.people.map((person) => [person.email, person.name])], actions.assignee),
    field("queue", actions.queue, { maxlength: 64 }),
    field("tags", (actions.tags ?? []).join(", "))),
  h("div.choices", null, h("button.primary", null, say("keep")), h("button", { type: "button", on: { click: () => box.close() } }, say("cancel"))));
  box.append(element);
  openBox(box);
}

/** Canned answers: those of the settings, and those that people keep here. */
export function showMacros(parent, desk) {
  const may = desk.me.role !== "read_only";
  return page(parent, say("macros"), async (refresh) => {
    const { items } = await api.macros();
    const rows = items.map((one) => h("tr", { data: { macro: one.name } },
      h("td", null, h("b", null, one.name), one.fixed ? h("div.small", null, say("fixed")) : null),
      h("td", null, Object.entries(one.texts).map(([language, text]) => h("p.small", { dir: "auto", lang: language }, h("span.tag", null, language), " ", text.length > 160 ? `${text.slice(0, 160)}…` : text))),
      h("td.small", null, deeds(one.actions)),
      h("td.actions", null, one.fixed || !may ? null : [
        h("button.small", { type: "button", on: { click: () => form(one, desk, refresh) } }, say("change")),
        button(say("forget"), async () => { if (confirm(say("forget_sure", { name: one.name }))) await api.forgetMacro(one.id); }, refresh)])));
    return h("div", null,
      h("p", null, say("macros_more")),
      may ? h("p", null, h("button.primary.new-macro", { type: "button", on: { click: () => form(null, desk, refresh) } }, say("new_macro"))) : null,
      items.length ? table([say("name"), say("text"), say("deeds"), ""], rows) : h("div.blank", null, say("no_macros")));
  }, null);
}

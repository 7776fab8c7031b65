// Beside a ticket: what can be changed of it, who the customer is, what else is known.

import { api, wish } from "./api.js";
import { callActions, dial } from "./calls.js";
import { h, fill, toast } from "./dom.js";
import { pick } from "./picker.js";
import { moment, say, when } from "./words.js";

const STATUSES = ["open", "pending", "solved", "closed", "spam"];
const PRIORITIES = ["low", "normal", "high", "urgent"];

const split = (words) => words.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean);

export function side(page) {
  const { ticket, desk } = page;
  const still = desk.me.role === "read_only" || Boolean(ticket.merged_into);
  const choice = (label, values, now, words, set) => h("label", null, h("span", null, label),
    h("select", { name: label, disabled: still, on: { change: (event) => set(event.target.value) } },
      values.map((value) => h("option", { value, selected: value === now }, words(value)))));
  const people = ["", ...desk.people.map((one) => one.id)];
  const named = (id) => (id ? desk.people.find((one) => one.id === id)?.name ?? say("somebody") : say("nobody"));
  if (ticket.assignee && !people.includes(ticket.assignee)) people.push(ticket.assignee);
  const line = (label, now, set) => h("label", null, h("span", null, label),
    h("input", { value: now, disabled: still, on: { change: (event) => set(event.target.value.trim()) } }));
  return h("aside", { "aria-label": say("about_ticket") },
    h("div.merged"),
    choice(say("status"), STATUSES, ticket.status, (value) => say(`status.${value}`), (status) => page.change({ status })),
    choice(say("priority"), PRIORITIES, ticket.priority, (value) => say(`priority.${value}`), (priority) => page.change({ priority })),
    choice(say("assignee"), people, ticket.assignee ?? "", named, (assignee) => page.change({ assignee: assignee || null })),
    line(say("queue"), ticket.queue ?? "", (queue) => page.change({ queue: queue || null })),
    line(say("tags"), ticket.tags.join(", "), (tags) => page.change({ tags: split(tags) })),
    still || ["solved", "closed"].includes(ticket.status) ? null : snooze(page),
    still ? null : h("p.small", null, h("button.link.merge", { type: "button", on: { click: () => mergeInto(page) } }, say("merge_into"))),
    page.calls.length ? h("section.calls", null, h("h2", null, say("calls")), page.calls.map((one) => h("div.card", null,
      h("p", null, dial(one), " · ", when(one.due_at)),
      one.wanted || one.note ? h("p.small", { dir: "auto" }, [one.wanted, one.note].filter(Boolean).join(" · ")) : null,
      h("p.small", null, say(`call.${one.status}`), one.agent && one.status === "calling" ? ` · ${one.agent}` : ""),
      h("div.choices", null, callActions(one, () => page.refresh()))))) : null,
    page.suggestions.length ? h("section.known", null, h("h2", null, say("known")), page.suggestions.map((one) => suggestion(page, one))) : null,
    h("section.customer", null, h("h2", null, say("customer")),
      whose(page, still),
      h("p", null, h("b", { dir: "auto" }, ticket.contact.name || "–"), ticket.language ? h("span.tag", { title: say("written_in") }, ticket.language) : null),
      h("ul.plain", null, ticket.contact.identities.map((identity) =>
        h("li", null, identity.value, " ", h("span.tag", { class: identity.trust, title: say(`trust.${identity.trust}`) }, identity.scheme)))),
      still ? null : prove(page),
      line(say("contact_tags"), ticket.contact.tags.join(", "), (tags) => tagContact(page, split(tags))),
      h("div.joined"),
      still ? null : h("p.small", null, h("button.link.join", { type: "button", on: { click: () => joinWith(page) } }, say("join_with")))),
    h("section.others", null, h("h2", null, say("earlier"))));
}

/** Whose ticket it seems to be, if somebody handed on a mail, and the way back if somebody said so. */
function whose(page, still) {
  const { suggested, before } = page.customer ?? {};
  const change = async (what) => {
    try {
      await what();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true, seconds: 10 });
    }
    page.load(false);
  };
  const who = suggested ? [suggested.name, `<${suggested.address}>`].filter(Boolean).join(" ") : "";
  return [suggested ? h("div.card.handed", null, h("p.small", { dir: "auto" }, say("handed_on", { by: suggested.by_name, who })),
      still ? null : [h("button", { type: "button", on: { click: () => change(() => api.setCustomer(page.ticket.id, { address: suggested.address })) } }, say("handed_take")), " ",
        h("button.link.leave", { type: "button", on: { click: () => change(() => api.dismissCustomer(page.ticket.id)) } }, say("handed_leave"))]) : null,
    before && !still ? h("p.small", null, say("customer_before", { name: before.name || before.identities[0]?.value || "–" }), " · ",
      h("button.link.restore", { type: "button", on: { click: () => change(() => api.restoreCustomer(page.ticket.id)) } }, say("customer_restore"))) : null,
    still || suggested ? null : h("p.small", null, h("button.link.other", { type: "button", on: { click: () => {
      const address = prompt(say("customer_which"))?.trim();
      if (address) change(() => api.setCustomer(page.ticket.id, { address }));
    } } }, say("customer_other")))];
}

/** Has a code sent to an address that the customer says is theirs, and tells of the one that waits. */
function prove(page) {
  const waits = page.proofs.find((one) => one.state === "sent");
  const address = h("input", { type: "text", name: "prove", required: true, autocomplete: "off", placeholder: "jane@example.com", "aria-label": say("prove_address") });
  const key = wish();
  const send = async (event) => {
    event.preventDefault();
    const button = event.target.querySelector("button");
    button.disabled = true;
    try {
      await api.prove(page.ticket.id, address.value.trim(), key);
      address.blur();
      page.open.delete("prove");
      toast(say("prove_sent"));
      page.refresh();
    } catch (problem) {
      button.disabled = false;
      toast(say("failed", { why: problem.message }), { error: true, seconds: 10 });
    }
  };
  const toggled = (event) => (event.target.open ? page.open.add("prove") : page.open.delete("prove"));
  return [waits ? h("p.small.waits", null, say("prove_waits", { address: waits.address, when: moment(waits.expires_at) })) : null,
    h("details.prove.small", { open: page.open.has("prove"), on: { toggle: toggled } }, h("summary", null, say("prove")),
      h("p", null, say("prove_how")), h("form", { on: { submit: send } }, address, h("button", { type: "submit" }, say("prove_send"))))];
}

async function tagContact(page, tags) {
  try {
    const contact = await api.contact(page.ticket.contact.id);
    await api.changeContact(contact.id, contact.version, { tags });
  } catch (problem) {
    toast(say("failed", { why: problem.message }), { error: true });
  }
  page.refresh();
}

// ---- not now ----

/** Times at which a ticket may come back, in the agent's own time. */
function times() {
  const at = (days, hour) => {
    const time = new Date();
    time.setDate(time.getDate() + days);
    time.setHours(hour, 0, 0, 0);
    return time;
  };
  const now = new Date();
  // The next Monday that is not today.
  const monday = (8 - now.getDay()) % 7 || 7;
  return [["hours", new Date(now.getTime() + 3 * 3600 * 1000)], ["tomorrow", at(1, 9)], ["monday", at(monday, 9)], ["week", at(7, 9)]];
}

function snooze(page) {
  const until = page.ticket.snoozed_until;
  const own = h("input", { type: "datetime-local", hidden: true, "aria-label": say("snooze"), on: { change: () => {
    const at = new Date(own.value);
    if (at > new Date()) page.change({ snoozed_until: at.toISOString() });
    else toast(say("in_the_past"), { error: true });
  } } });
  const box = h("select.snooze", { "aria-label": say("snooze"), on: { change: () => {
    if (box.value === "own") {
      own.hidden = false;
      own.focus();
    } else if (box.value === "wake") {
      page.change({ status: "open", snoozed_until: null });
    } else {
      page.change({ snoozed_until: box.value });
    }
  } } },
  h("option", { value: "", selected: true }, until ? say("snoozed", { when: moment(until) }) : "–"),
  until ? h("option", { value: "wake" }, say("wake")) : null,
  times().map(([name, at]) => h("option", { value: at.toISOString() }, `${say(`snooze.${name}`)} · ${moment(at)}`)),
  h("option", { value: "own" }, say("snooze.own")));
  return [h("label", null, h("span", null, say("snooze")), box), own];
}

// ---- two that are one, and one that was two ----

/** What undoing a merge does, told before it is done. */
function undoSure(one, into) {
  return [say("unmerge_sure", { number: one.number, into }), say("unmerge_moves", { messages: one.messages }),
    one.callbacks ? say("unmerge_calls", { callbacks: one.callbacks }) : "", one.tags.length ? say("unmerge_tags", { tags: one.tags.join(", "), into }) : "",
    say("unmerge_status", { number: one.number, status: say(`status.${one.status}`) }), say("unmerge_stays", { into })].filter(Boolean).join("\n");
}

async function undo(page, noun, id, sure, then) {
  if (!confirm(sure)) return;
  try {
    await api.unmerge(noun, id);
    toast(say("parted"));
    then?.();
    page.load(false);
  } catch (problem) {
    toast(say("failed", { why: problem.message }), { error: true, seconds: 10 });
  }
}

/** What was merged into this ticket and contact, and where this ticket went, each with the way back. */
export async function drawMerged(page) {
  const { ticket, desk } = page;
  const may = desk.me.role !== "read_only";
  const none = () => ({ items: [] });
  const [tickets, contacts, into] = await Promise.all([
    api.merged("tickets", ticket.merged_into ?? ticket.id).catch(none), api.merged("contacts", ticket.contact.id).catch(none),
    ticket.merged_into ? api.ticket(ticket.merged_into).catch(() => null) : null]);
  if (page.closed || page.ticket.id !== ticket.id) return;
  const back = (one, number) => (may ? h("button.link.unmerge", { type: "button", on: { click: () => undo(page, "tickets", one.id, undoSure(one, number)) } }, say("unmerge")) : null);
  const place = page.parent.querySelector("aside .merged");
  if (ticket.merged_into) {
    const record = tickets.items.find((one) => one.id === ticket.id);
    fill(place, h("p.notice", null, say("merged"), " ", h("a", { href: `#/ticket/${into?.number ?? ticket.merged_into}` }, say("go_there")),
      record && into ? [" · ", back(record, into.number)] : null));
  } else if (place) {
    fill(place, tickets.items.map((one) => h("p.small", null, say("absorbed", { number: one.number, subject: one.subject }), " · ", when(one.merged_at), " · ", back(one, ticket.number))));
  }
  const joined = page.parent.querySelector("aside .joined");
  if (joined) {
    fill(joined, contacts.items.map((one) => h("p.small", null, say("joined", { name: one.name || one.addresses.join(", ") }), " · ", when(one.merged_at), " · ",
      may ? h("button.link.part", { type: "button", on: { click: () => undo(page, "contacts", one.id,
        [say("part_sure", { name: one.name || "–" }), one.addresses.length ? say("part_addresses", { addresses: one.addresses.join(", ") }) : "", say("part_tickets", { tickets: one.tickets })].filter(Boolean).join("\n")) } }, say("part")) : null)));
  }
}

/** Asks for the ticket that goes on instead of this one. */
function mergeInto(page) {
  const { ticket } = page;
  pick({
    title: say("merge_which"),
    find: async (words) => {
      const filter = words ? { q: `${words}*` } : { contact: ticket.contact.id };
      const number = /^#?(\d+)$/.exec(words)?.[1];
      const [found, named] = await Promise.all([api.tickets({ ...filter, limit: 20, sort: "-updated_at" }), number ? api.ticket(number).catch(() => null) : null]);
      return [...(named ? [named] : []), ...found.items].filter((one, place, all) => one.id !== ticket.id && one.status !== "closed" && !one.merged_into && all.findIndex((other) => other.id === one.id) === place)
        .map((one) => ({ text: `#${one.number} ${one.subject}`, more: one.contact.name, number: one.number }));
    },
    choose: async ({ number }) => {
      if (!confirm(say("merge_sure", { number: ticket.number, into: number }))) return;
      await api.merge(ticket.id, String(number));
      location.hash = `#/ticket/${number}`;
    },
  });
}

/** Asks who else this customer is. Before a word is written: who it may well be. */
function joinWith(page) {
  const { contact } = page.ticket;
  pick({
    title: say("join_which"),
    find: async (words) => {
      const alike = words ? { items: [] } : await api.similar(contact.id);
      const { items } = alike.items.length ? alike : await api.contacts({ q: words, limit: 20 });
      return items.filter((one) => one.id !== contact.id).map((one) => ({ text: one.name || "–", more: one.identities.map((identity) => identity.value).join(", "), id: one.id }));
    },
    choose: async (other) => {
      if (!confirm(say("join_sure", { name: `${other.text} (${other.more})`, into: contact.name || contact.identities[0]?.value || "–" }))) return;
      await api.joinContact(other.id, contact.id);
      page.load(false);
    },
  });
}

// ---- what else is known ----

function suggestion(page, one) {
  const insert = (text) => h("button", { type: "button", on: { click: () => page.composer.insert(text) } }, say("insert"));
  return h("details.card", { lang: one.language, data: { article: one.article } }, h("summary", null, one.title, one.sure ? " ✓" : ""),
    h("p.text.small", { dir: "auto" }, one.text),
    h("div.choices", null, insert(one.text)),
    one.follow_ups.length ? h("ul.plain.small", null, one.follow_ups.map((next) =>
      h("li", null, h("button.link", { type: "button", on: { click: () => page.composer.insert(next.text) } }, `${say("insert")}: ${next.title}`)))) : null);
}

/** Other tickets of the customer. */
export async function drawOthers(page) {
  const found = await api.tickets({ contact: page.ticket.contact.id, limit: 11, sort: "-updated_at" }).catch(() => null);
  const others = (found?.items ?? []).filter((ticket) => ticket.id !== page.ticket.id).slice(0, 10);
  const section = page.parent.querySelector("aside .others");
  if (section) {
    fill(section, h("h2", null, say("earlier")), others.length
      ? h("ul.plain", null, others.map((ticket) => h("li", null, h("span.dot", { class: ticket.status }),
        h("a", { href: `#/ticket/${ticket.number}` }, `#${ticket.number} ${ticket.subject}`), " ", h("span.small", null, when(ticket.updated_at)))))
      : h("p.small", null, say("none")));
  }
}

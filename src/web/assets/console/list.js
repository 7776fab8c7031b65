// The list of tickets of one view: pages by cursor, stays where it is when something changes; what is marked can be
// changed together.

import { api, query } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { ago, moment, say } from "./words.js";

const PAGE = 50;
/** As many as the daemon gives at once. */
const MOST = 200;
const SORT = "-updated_at";

export const VIEWS = [
  { name: "inbox", filter: { status: "open", sort: SORT } },
  { name: "mine", filter: { assignee: "me", status: "open,pending", sort: SORT } },
  { name: "mentions", filter: { mentioned: "me", sort: SORT } },
  { name: "unassigned", filter: { assignee: "none", status: "open", sort: SORT } },
  { name: "urgent", filter: { priority: "urgent", status: "open,pending", sort: SORT } },
  { name: "waiting_us", filter: { waiting: "us", status: "open", sort: SORT } },
  { name: "pending", filter: { status: "pending", sort: SORT } },
  { name: "solved", filter: { status: "solved,closed", sort: SORT } },
  { name: "spam", filter: { status: "spam", sort: SORT } },
  { name: "all", filter: { sort: SORT } },
];

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

export class TicketList {
  constructor(parent, desk) {
    this.parent = parent;
    this.desk = desk;
    this.view = null;
    this.q = "";
    this.items = [];
    this.cursor = null;
    this.marked = null;
    this.picked = new Set();
    this.turn = 0;
  }

  async show(view, q) {
    this.view = view;
    this.q = q;
    this.items = [];
    this.cursor = null;
    this.picked.clear();
    fill(this.parent);
    await this.read(PAGE, null, true);
  }

  /** Reads again what is at the top: whatever changed is there. */
  async refresh() {
    if (this.view) await this.read(Math.min(Math.max(this.items.length, PAGE), MOST), null, true);
  }

  async read(limit, cursor, anew) {
    const turn = ++this.turn;
    try {
      const found = await api.tickets({ ...this.view.filter, q: this.q, limit, cursor });
      if (turn !== this.turn) return;
      if (anew && found.next_cursor && this.items.length > found.items.length) {
        // Further pages were read before: they stay, as far as they are not at the top now.
        const seen = new Set(found.items.map((ticket) => ticket.id));
        const last = found.items[found.items.length - 1].updated_at;
        this.items = found.items.concat(this.items.filter((ticket) => !seen.has(ticket.id) && ticket.updated_at <= last));
      } else {
        this.items = anew ? found.items : this.items.concat(found.items);
        this.cursor = found.next_cursor;
      }
      this.draw();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
  }

  draw() {
    const top = this.parent.scrollTop;
    const there = new Set(this.items.map((ticket) => ticket.id));
    for (const id of this.picked) if (!there.has(id)) this.picked.delete(id);
    if (!this.items.length) {
      fill(this.parent, this.empty());
      return;
    }
    const more = this.cursor &&
      h("button.more", { type: "button", on: { click: () => this.read(PAGE, this.cursor, false) } }, say("more"));
    fill(this.parent, this.bulk(), h("ul", { role: "list" }, this.items.map((ticket) => this.row(ticket))), more);
    this.parent.scrollTop = top;
  }

  empty() {
    if (this.q) return h("div.blank", null, say("no_hits"));
    return h("div.blank", null, say(this.desk.isNew ? "nothing_yet" : "empty_view"));
  }

  row(ticket) {
    const person = this.desk.people.find((one) => one.id === ticket.assignee);
    const waits = ticket.status === "open" && (!ticket.last_outbound_at || ticket.last_inbound_at > ticket.last_outbound_at);
    const name = ticket.contact.name || ticket.contact.identities[0]?.value || "–";
    const pick = h("input.pick", { type: "checkbox", checked: this.picked.has(ticket.id), "aria-label": say("pick_one", { number: ticket.number }),
      on: { change: () => this.pick(ticket.id, pick.checked) } });
    return h("li", null, this.desk.me.role === "read_only" ? null : pick,
      h("a.row", {
        href: `#/ticket/${ticket.number}`, data: { number: ticket.number }, class: `${waits ? "waits" : ""} ${ticket.unread ? "unread" : ""}`,
        "aria-current": String(ticket.number) === this.marked ? "true" : null,
      },
      h("span.line", null, h("b.name", null, ticket.unread ? h("span.new", { role: "img", "aria-label": say("unread"), title: say("unread") }) : null, name),
        h("time", { title: moment(ticket.updated_at) }, ago(ticket.updated_at))),
      h("span.subject", null, ticket.subject || `#${ticket.number}`),
      h("span.line.small", null,
        h("span", null, h("span.dot", { class: ticket.status }), `#${ticket.number} · ${ticket.channel}`),
        h("span", null,
          ticket.priority === "urgent" || ticket.priority === "high" ? h("span.tag", { class: ticket.priority }, say(`priority.${ticket.priority}`)) : null,
          ticket.tags.slice(0, 2).map((tag) => h("span.tag", null, tag)),
          person ? h("span.avatar", { title: person.name }, [...person.name].slice(0, 1).join("")) : null))));
  }

  pick(id, picked) {
    if (picked) this.picked.add(id);
    else this.picked.delete(id);
    const old = this.parent.querySelector(".bulk");
    const bar = this.bulk();
    if (old) old.replaceWith(bar);
  }

  /** What can be done with all that are marked. Always there, so that nothing jumps. */
  bulk() {
    const number = this.picked.size;
    const act = (words, patch) => h("button.small", { type: "button", on: { click: () => this.change(patch) } }, words);
    const choice = (label, values, patch) => h("select", { "aria-label": label, on: { change: (event) => this.change(patch(event.target.value)) } },
      h("option", { value: "", selected: true }, label), values.map(([value, text]) => h("option", { value }, text)));
    return h("div.bulk", { role: "group", "aria-label": say("picked", { n: number }), hidden: number === 0 },
      h("span.small", null, say("picked", { n: number })),
      act(say("take"), () => ({ assignee: "me" })),
      act(say("solved"), () => ({ status: "solved" })),
      act(say("spam"), () => ({ status: "spam" })),
      choice(say("assignee"), [["none", say("nobody")], ...this.desk.people.map((one) => [one.id, one.name])], (value) => () => ({ assignee: value === "none" ? null : value })),
      choice(say("priority"), ["low", "normal", "high", "urgent"].map((one) => [one, say(`priority.${one}`)]), (priority) => () => ({ priority })),
      h("button.small", { type: "button", on: { click: () => {
        const tag = prompt(say("which_tag"))?.trim();
        if (tag) this.change((ticket) => ({ tags: [...new Set([...ticket.tags, tag])] }));
      } } }, say("add_tag")),
      h("button.link", { type: "button", on: { click: () => { this.picked.clear(); this.draw(); } } }, say("pick_none")));
  }

  /** Changes all that are marked, each as it was seen here; says how many somebody else had changed meanwhile. */
  async change(patch) {
    const wanted = this.items.filter((ticket) => this.picked.has(ticket.id));
    let failed = 0;
    let why = "";
    while (wanted.length) {
      await Promise.all(wanted.splice(0, 4).map(async (ticket) => {
        try {
          await api.change(ticket.id, ticket.version, patch(ticket));
          this.picked.delete(ticket.id);
        } catch (problem) {
          failed += 1;
          why = problem.status === 412 || problem.status === 409 ? say("changed_meanwhile") : problem.message;
        }
      }));
    }
    if (failed) toast(say("bulk_failed", { n: failed, why }), { error: true, seconds: 10 });
    await this.refresh();
  }

  /** Shows which ticket is open beside the list. */
  mark(number) {
    this.marked = String(number);
    for (const row of this.parent.querySelectorAll("a.row")) {
      if (row.dataset.number === this.marked) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  /** Somebody looks at a ticket: it is no longer new to them. */
  seen(number) {
    const ticket = this.items.find((one) => one.number === number);
    if (ticket) ticket.unread = false;
    const row = this.parent.querySelector(`a.row[data-number="${number}"]`);
    row?.classList.remove("unread");
    row?.querySelector(".new")?.remove();
  }

  /** Marks the ticket that is open, or takes the mark away. */
  toggle() {
    const ticket = this.items.find((one) => String(one.number) === this.marked);
    if (!ticket || this.desk.me.role === "read_only") return;
    this.pick(ticket.id, !this.picked.has(ticket.id));
    this.draw();
  }

  /** Opens the next or the previous ticket. */
  move(step) {
    const at = this.items.findIndex((ticket) => String(ticket.number) === this.marked);
    const next = this.items[at < 0 ? 0 : at + step];
    if (!next) return;
    location.hash = `#/ticket/${next.number}`;
    this.parent.querySelector(`a.row[data-number="${next.number}"]`)?.scrollIntoView({ block: "nearest" });
  }
}

/** The query of a view, for the daemon. */
export const asQuery = (filter) => query(filter).slice(1);

// The list of tickets of one view: pages by cursor, stays where it is when something changes.

import { api } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { ago, moment, say } from "./words.js";

const PAGE = 50;

export const VIEWS = [
  { name: "inbox", filter: { status: "open", sort: "-updated_at" } },
  { name: "mine", filter: { assignee: "me", status: "open,pending", sort: "-updated_at" } },
  { name: "unassigned", filter: { assignee: "none", status: "open", sort: "-updated_at" } },
  { name: "urgent", filter: { priority: "urgent", status: "open,pending", sort: "-updated_at" } },
  { name: "pending", filter: { status: "pending", sort: "-updated_at" } },
  { name: "solved", filter: { status: "solved,closed", sort: "-updated_at" } },
  { name: "spam", filter: { status: "spam", sort: "-updated_at" } },
  { name: "all", filter: { sort: "-updated_at" } },
];

export class TicketList {
  constructor(parent, desk) {
    this.parent = parent;
    this.desk = desk;
    this.view = null;
    this.q = "";
    this.items = [];
    this.cursor = null;
    this.marked = null;
    this.turn = 0;
  }

  async show(view, q) {
    this.view = view;
    this.q = q;
    this.items = [];
    this.cursor = null;
    fill(this.parent);
    await this.read(PAGE, null, true);
  }

  /** Reads again as much as is shown. */
  async refresh() {
    if (this.view) await this.read(Math.min(Math.max(this.items.length, PAGE), 200), null, true);
  }

  async read(limit, cursor, anew) {
    const turn = ++this.turn;
    try {
      const found = await api.tickets({ ...this.view.filter, q: this.q, limit, cursor });
      if (turn !== this.turn) return;
      this.items = anew ? found.items : this.items.concat(found.items);
      this.cursor = found.next_cursor;
      this.draw();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
  }

  draw() {
    const top = this.parent.scrollTop;
    if (!this.items.length) {
      fill(this.parent, this.empty());
      return;
    }
    const more = this.cursor &&
      h("button.more", { type: "button", on: { click: () => this.read(PAGE, this.cursor, false) } }, say("more"));
    fill(this.parent, h("ul", { role: "list" }, this.items.map((ticket) => this.row(ticket))), more);
    this.parent.scrollTop = top;
  }

  empty() {
    if (this.q) return h("div.blank", null, say("no_hits"));
    if (this.view.name !== "all") return h("div.blank", null, say("empty_view"));
    return h("div.blank.first", null, h("h2", null, say("first_title")),
      h("ol", null, ["first_1", "first_2", "first_3"].map((step) => h("li", null, say(step)))));
  }

  row(ticket) {
    const person = this.desk.people.find((one) => one.id === ticket.assignee);
    const waits = ticket.status === "open" && (!ticket.last_outbound_at || ticket.last_inbound_at > ticket.last_outbound_at);
    const name = ticket.contact.name || ticket.contact.identities[0]?.value || "–";
    return h("li", null,
      h("a.row", {
        href: `#/ticket/${ticket.number}`, data: { number: ticket.number }, class: waits ? "waits" : "",
        "aria-current": String(ticket.number) === this.marked ? "true" : null,
      },
      h("span.line", null, h("b.name", null, name), h("time", { title: moment(ticket.updated_at) }, ago(ticket.updated_at))),
      h("span.subject", null, ticket.subject || `#${ticket.number}`),
      h("span.line.small", null,
        h("span", null, h("span.dot", { class: ticket.status }), `#${ticket.number} · ${ticket.channel}`),
        h("span", null,
          ticket.priority === "urgent" || ticket.priority === "high" ? h("span.tag", { class: ticket.priority }, say(`priority.${ticket.priority}`)) : null,
          ticket.tags.slice(0, 2).map((tag) => h("span.tag", null, tag)),
          person ? h("span.avatar", { title: person.name }, [...person.name].slice(0, 1).join("")) : null))));
  }

  /** Shows which ticket is open beside the list. */
  mark(number) {
    this.marked = String(number);
    for (const row of this.parent.querySelectorAll("a.row")) {
      if (row.dataset.number === this.marked) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
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

// The list of tickets of one view: pages by cursor, stays where it is when something changes; what is marked can be
// changed together.

import { api, query } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { say, when } from "./words.js";

/** Two screens: the first is seen at once, and further ones come before anybody gets there. */
const PAGE = 30;
/** As many as the daemon gives at once. */
const MOST = 200;
/** So far from the end, in points, the next page is asked for. */
const AHEAD = 900;
const SORT = "-updated_at";

export const VIEWS = [
  { name: "inbox", filter: { status: "open", sort: SORT } },
  { name: "mine", filter: { assignee: "me", status: "open,pending", sort: SORT } },
  { name: "my_teams", filter: { team: "me", status: "open,pending", sort: SORT } },
  { name: "mentions", filter: { mentioned: "me", sort: SORT } },
  { name: "unassigned", filter: { assignee: "none", status: "open", sort: SORT } },
  { name: "urgent", filter: { priority: "urgent", status: "open,pending", sort: SORT } },
  { name: "waiting_us", filter: { waiting: "us", status: "open", sort: SORT } },
  { name: "pending", filter: { status: "pending", sort: SORT } },
  { name: "solved", filter: { status: "solved,closed", sort: SORT } },
  { name: "spam", filter: { status: "spam", sort: SORT } },
  { name: "all", filter: { sort: SORT } },
];

/** The answer that is due, louder when it is late. */
function due(ticket) {
  if (!ticket.due_at || !["open", "pending"].includes(ticket.status)) return null;
  const late = new Date(ticket.due_at) < new Date();
  return h("span.tag.due", { class: late ? "late" : "" }, when(ticket.due_at, late ? "clock_late" : "clock"));
}

/** The first page of the first list: it may be asked for before there is a place to show it. */
export const firstPage = () => api.tickets({ ...VIEWS[0].filter, limit: PAGE });

export class TicketList {
  /** `early`: the first page, on its way. */
  constructor(parent, desk, early) {
    this.parent = parent;
    this.early = early;
    this.desk = desk;
    this.view = null;
    this.q = "";
    this.items = [];
    this.cursor = null;
    this.marked = null;
    this.picked = new Set();
    this.turn = 0;
    // Whoever scrolls meets no end: the next page is there before they are.
    this.ends = new IntersectionObserver(([end]) => { if (end.isIntersecting) this.further(); }, { root: parent, rootMargin: `0px 0px ${AHEAD}px` });
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
      const early = this.early;
      this.early = null;
      const found = await (early ?? api.tickets({ ...this.view.filter, q: this.q, limit, cursor }));
      if (turn !== this.turn) return;
      if (anew && found.next_cursor && this.items.length > found.items.length) {
        // Further pages were read before: they stay, as far as they are not at the top now.
        const seen = new Set(found.items.map((ticket) => ticket.id));
        const last = found.items[found.items.length - 1].updated_at;
        this.items = found.items.concat(this.items.filter((ticket) => !seen.has(ticket.id) && ticket.updated_at <= last));
      } else {
        this.cursor = found.next_cursor;
        if (!anew) {
          this.append(found.items);
          return;
        }
        this.items = found.items;
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
    fill(this.parent, h("div.bulk-place"), h("ul", { role: "list" }, this.items.map((ticket) => this.row(ticket))), this.end());
    this.drawBulk();
    this.parent.scrollTop = top;
  }

  /** A further page below what is there, which stays as it is. */
  append(items) {
    const known = new Set(this.items.map((ticket) => ticket.id));
    const fresh = items.filter((ticket) => !known.has(ticket.id));
    this.items.push(...fresh);
    this.parent.querySelector("ul")?.append(...fresh.map((ticket) => this.row(ticket)));
    this.parent.querySelector(".more")?.remove();
    const end = this.end();
    if (end) this.parent.append(end);
  }

  /** What stands below the last row, if there are more. */
  end() {
    this.ends.disconnect();
    if (!this.cursor) return null;
    const more = h("button.more", { type: "button", on: { click: () => this.further() } }, say("more"));
    this.ends.observe(more);
    return more;
  }

  async further() {
    if (this.reading || !this.cursor) return;
    this.reading = true;
    await this.read(PAGE, this.cursor, false);
    this.reading = false;
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
        when(ticket.updated_at)),
      h("span.subject", null, ticket.subject || `#${ticket.number}`),
      h("span.line.small", null,
        h("span", null, h("span.dot", { class: ticket.status }), `#${ticket.number} · ${ticket.channel}`),
        h("span", null, due(ticket),
          ticket.snoozed_until ? h("span.tag", null, when(ticket.snoozed_until, "snoozed")) : null,
          ticket.priority === "urgent" || ticket.priority === "high" ? h("span.tag", { class: ticket.priority }, say(`priority.${ticket.priority}`)) : null,
          ticket.tags.slice(0, ticket.due_at ? 1 : 2).map((tag) => h("span.tag", null, tag)),
          person ? h("span.avatar", { title: person.name }, [...person.name].slice(0, 1).join("")) : null))));
  }

  pick(id, picked) {
    if (picked) this.picked.add(id);
    else this.picked.delete(id);
    this.drawBulk();
  }

  /** What can be done with all that are marked, while there are any. */
  async drawBulk() {
    const place = this.parent.querySelector(".bulk-place");
    if (!this.picked.size) {
      if (place) fill(place);
      return;
    }
    const { bulkBar } = await import("./bulk.js");
    if (place?.isConnected && this.picked.size) fill(place, bulkBar(this));
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

  /** Opens the next or the previous ticket; at the end of what was read, the next page is read first. */
  async move(step) {
    const at = this.items.findIndex((ticket) => String(ticket.number) === this.marked);
    const to = at < 0 ? 0 : at + step;
    if (to >= this.items.length) await this.further();
    const next = this.items[to];
    if (!next) return;
    location.hash = `#/ticket/${next.number}`;
    this.parent.querySelector(`a.row[data-number="${next.number}"]`)?.scrollIntoView({ block: "nearest" });
  }
}

/** The query of a view, for the daemon. */
export const asQuery = (filter) => query(filter).slice(1);

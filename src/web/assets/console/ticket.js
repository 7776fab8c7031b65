// One ticket: what was said, in order; who the customer is; what can be changed; where to answer.

import { api, wish } from "./api.js";
import { Composer } from "./composer.js";
import { h, fill, settle, toast } from "./dom.js";
import { drawMerged, drawOthers, side } from "./side.js";
import { timeline } from "./timeline.js";
import { say, when } from "./words.js";

/** So often it is asked who else is here. */
const LOOK_EVERY = 3000;
/** As much of a very long ticket is read. */
const MESSAGES_MAX = 2000;
const EVENTS_MAX = 1000;

/** All pages of a list, up to so many items. */
async function all(read, most) {
  const items = [];
  let cursor = null;
  do {
    const found = await read(cursor);
    items.push(...found.items);
    cursor = found.next_cursor;
  } while (cursor && items.length < most);
  return items;
}

export class TicketPage {
  constructor(parent, name, desk) {
    this.parent = parent;
    this.name = name;
    this.desk = desk;
    this.ticket = null;
    this.messages = [];
    this.events = [];
    this.calls = [];
    this.suggestions = [];
    /** Codes that were sent to addresses. */
    this.proofs = [];
    /** Whose ticket it may be, and was. */
    this.customer = null;
    this.channels = [];
    /** Names of colleagues who write here just now. */
    this.writing = [];
    this.open = new Set();
    this.unsealed = new Map();
    /** What stands in the timeline, by what it shows. */
    this.drawn = new Map();
    /** How often all of it was asked for, and of which time it is that is shown. */
    this.turn = 0;
    this.shown = 0;
    this.closed = false;
    fill(parent);
    this.load(true).catch((problem) => {
      if (!this.closed) fill(parent, h("div.blank", null, problem.status === 404 ? say("no_hits") : problem.message));
    });
  }

  close() {
    this.closed = true;
    clearInterval(this.looking);
    this.composer?.close();
  }

  async load(first) {
    const turn = ++this.turn;
    const ticket = await api.ticket(this.name);
    const none = { items: [] };
    // Drafts and channels are known for as long as the ticket is open.
    const [calls, suggestions, proofs, customer, messages, events, kept, channels] = await Promise.all([
      api.callbacks({ ticket: ticket.number }).catch(() => none), api.suggestions(ticket.id).catch(() => none), api.proofs(ticket.id).catch(() => none), api.customer(ticket.id).catch(() => null),
      all((cursor) => api.messages(ticket.id, cursor), MESSAGES_MAX), all((cursor) => api.trail(ticket.id, cursor), EVENTS_MAX),
      first ? api.draft(ticket.id).catch(() => null) : null, first ? api.channels().catch(() => none) : null]);
    // What was asked for later may be here already; nothing is drawn before the first of all.
    if (this.closed || (!first && (turn < this.shown || !this.composer))) return;
    this.shown = turn;
    Object.assign(this, { ticket, messages, events, calls: calls.items, suggestions: suggestions.items, proofs: proofs.items, customer });
    if (first) {
      this.draft = kept?.draft ?? null;
      this.channels = channels.items;
    }
    this.draw(first);
    drawMerged(this);
    this.read();
    if (first) {
      this.look();
      this.looking = setInterval(() => this.look(), LOOK_EVERY);
    }
  }

  /** Who else is here: a colleague who writes too, a customer who types. */
  async look() {
    if (document.hidden) return;
    const live = await api.live(this.ticket.id).catch(() => null);
    if (this.closed || !live) return;
    this.writing = live.writing.map((id) => this.desk.people.find((one) => one.id === id)?.name ?? say("somebody"));
    if (!this.writing.length) this.composer.warned = false;
    const customer = this.ticket.contact.name || say("customer");
    const typing = live.visitors.some((one) => one.typing);
    fill(this.parent.querySelector(".live"),
      this.writing.length ? h("span.also", null, say("writes_too", { name: this.writing.join(", ") })) : null,
      typing ? h("span", null, say("types", { name: customer })) : live.visitors.some((one) => one.here) ? h("span", null, say("is_here", { name: customer })) : null);
  }

  /** Whoever has the ticket before them has seen it. */
  read() {
    const latest = `${this.ticket.last_inbound_at} ${this.messages.length}`;
    if (this.desk.me.role === "read_only" || this.readAt === latest || document.hidden) return;
    this.readAt = latest;
    api.seen(this.ticket.id).then(() => this.desk.seen(this.ticket.number)).catch(() => { this.readAt = null; });
  }

  happened(event) {
    if (this.ticket && event.ticket_id === this.ticket.id) this.refresh();
  }

  refresh() {
    this.again ??= setTimeout(() => {
      this.again = null;
      if (!this.closed) this.load(false).catch(() => {});
    }, 250);
  }

  draw(first) {
    if (first) {
      this.body = h("div.timeline", { tabindex: 0, role: "log", "aria-label": say("conversation") });
      this.composer = new Composer(this, this.draft);
      const closed = this.desk.me.role === "read_only" || this.ticket.merged_into;
      fill(this.parent, h("div.ticket", null, this.head(), this.body, h("p.live.small", { role: "status" }), closed ? null : this.composer.element), side(this));
      drawOthers(this);
    } else {
      this.parent.querySelector(".ticket > header").replaceWith(this.head());
      this.drawSide();
      this.composer.ticketChanged();
    }
    const atEnd = first || this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < 80;
    // What did not change stays as it is: a recording plays on, a frame does not load again.
    settle(this.body, timeline(this).filter(Boolean));
    if (atEnd) this.body.scrollTop = this.body.scrollHeight;
  }

  /** Draws what is beside it anew, unless somebody writes there. */
  drawSide() {
    const aside = this.parent.querySelector("aside");
    const at = aside.contains(document.activeElement) ? document.activeElement : null;
    if (at?.tagName === "INPUT") return;
    const anew = side(this);
    for (const kept of [".others", ".merged", ".joined"]) anew.querySelector(kept)?.replaceWith(aside.querySelector(kept));
    aside.replaceWith(anew);
    if (at?.name) anew.querySelector(`[name="${at.name}"]`)?.focus();
  }

  head() {
    const ticket = this.ticket;
    const late = ticket.due_at && new Date(ticket.due_at) < new Date();
    const may = this.desk.me.role !== "read_only" && !ticket.merged_into;
    return h("header.top", null,
      h("a.back", { href: "#/inbox", "aria-label": say("key_back") }, "‹"),
      h("div.title", null,
        h("h1", { title: ticket.subject }, ticket.subject || `#${ticket.number}`),
        h("div.small", null, `#${ticket.number} · ${ticket.channel} · `, when(ticket.created_at),
          ticket.due_at && !["solved", "closed", "spam"].includes(ticket.status) ? h("span", { class: late ? "trouble" : "" }, " · ", when(ticket.due_at, late ? "late" : "due")) : null)),
      !may || ticket.assignee === this.desk.me.id || this.desk.me.kind !== "agent" ? null
        : h("button", { type: "button", on: { click: () => this.change({ assignee: "me" }) } }, say("take")),
      h("button.primary", { type: "button", hidden: !may || ["solved", "closed"].includes(ticket.status), on: { click: () => this.solve() } }, say("solve")));
  }

  /** Shows what was masked, until the ticket is left. Who looked, and why, is in the trail. */
  async unseal(id) {
    const reason = prompt(say("unseal_why"))?.trim();
    if (!reason) return;
    try {
      this.unsealed.set(id, (await api.unseal(id, reason)).items);
      this.draw(false);
      this.refresh();
    } catch (problem) {
      toast(problem.message, { error: true });
    }
  }

  toggle(id, what) {
    const key = id + what;
    if (!this.open.delete(key)) this.open.add(key);
    this.draw(false);
  }

  async deliver(id, action) {
    try {
      await api.delivery(id, action);
      this.refresh();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
  }

  async change(patch) {
    try {
      this.ticket = await api.change(this.ticket.id, this.ticket.version, patch);
      this.draw(false);
    } catch (problem) {
      const stale = problem.status === 412 || problem.status === 409;
      toast(stale ? say("stale") : say("failed", { why: problem.message }), { error: true });
      this.refresh();
    }
  }

  /** Does what a macro does besides its text. */
  async finish(macro) {
    await api.useMacro(this.ticket.id, macro, { apply: true, text: "" }, wish());
    this.refresh();
  }

  canned() {
    this.composer?.canned();
  }

  solve() {
    if (this.ticket) this.change({ status: "solved" });
  }

  compose(kind) {
    this.composer?.focus(kind);
  }

  /** Sends what the composer holds; the promise tells how it went. */
  send(message, key, version) {
    return api.write(this.ticket.id, message, key, version);
  }
}

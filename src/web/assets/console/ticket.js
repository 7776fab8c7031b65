// One ticket: what was said, in order; who the customer is; what can be changed; where to answer.

import { api, attachment, raw, wish } from "./api.js";
import { callActions, dial } from "./calls.js";
import { Composer } from "./composer.js";
import { h, fill, toast } from "./dom.js";
import { ago, bytes, moment, say } from "./words.js";

const SHOWN_AS_PICTURE = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const STATUSES = ["open", "pending", "solved", "closed", "spam"];
const PRIORITIES = ["low", "normal", "high", "urgent"];
const TROUBLE = ["failed", "unconfirmed", "bounced", "held"];

// Mail as its sender formatted it was sanitised by the daemon and is shown in a frame without rights: no
// script runs there and nothing is loaded. This is the only place where markup is handed to the browser.
const mailPolicy = window.trustedTypes?.createPolicy("tributary-mail", { createHTML: (html) => html });

function frame(html) {
  const element = h("iframe.mail", { sandbox: "", title: say("formatted"), referrerpolicy: "no-referrer" });
  element.srcdoc = mailPolicy ? mailPolicy.createHTML(html) : html;
  return element;
}

/** A text with its masks set off. The marks are the daemon's own words and stay the same in every language. */
function marked(text) {
  return text.split(/(\[(?:seed phrase|private key|keystore|card number|one-time code|password) removed\])/)
    .map((piece, number) => (number % 2 ? h("mark.masked", null, piece) : piece));
}

export class TicketPage {
  constructor(parent, name, desk) {
    this.parent = parent;
    this.name = name;
    this.desk = desk;
    this.ticket = null;
    this.messages = [];
    this.calls = [];
    this.suggestions = [];
    this.channels = [];
    this.open = new Set();
    this.unsealed = new Map();
    this.closed = false;
    fill(parent);
    this.load(true).catch((problem) => {
      fill(parent, h("div.blank", null, problem.status === 404 ? say("no_hits") : problem.message));
    });
  }

  close() {
    this.closed = true;
    this.composer?.close();
  }

  async load(first) {
    const ticket = await api.ticket(this.name);
    const calls = (await api.callbacks({ ticket: ticket.number }).catch(() => null))?.items ?? [];
    const suggestions = (await api.suggestions(ticket.id).catch(() => null))?.items ?? [];
    if (first) {
      // Both are known for as long as the ticket is open.
      const [kept, channels] = await Promise.all([api.draft(ticket.id).catch(() => null), api.channels().catch(() => null)]);
      this.draft = kept?.draft ?? null;
      this.channels = channels?.items ?? [];
    }
    const messages = [];
    let cursor = null;
    do {
      const found = await api.messages(ticket.id, cursor);
      messages.push(...found.items);
      cursor = found.next_cursor;
    } while (cursor && messages.length < 2000);
    if (this.closed) return;
    this.ticket = ticket;
    this.messages = messages;
    this.calls = calls;
    this.suggestions = suggestions;
    this.draw(first);
    this.read();
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
    const body = this.parent.querySelector(".timeline");
    const atEnd = first || !body || body.scrollHeight - body.scrollTop - body.clientHeight < 80;
    const timeline = h("div.timeline", { tabindex: 0, "aria-label": this.ticket.subject }, this.messages.map((message) => this.message(message)));
    if (first) {
      this.composer = new Composer(this, this.draft);
      fill(this.parent, h("div.ticket", null, this.head(), timeline, this.composer.element), this.side());
      this.others();
    } else {
      const top = body.scrollTop;
      this.parent.querySelector(".ticket > header").replaceWith(this.head());
      body.replaceWith(timeline);
      const aside = this.parent.querySelector("aside");
      const known = aside.querySelector(".others");
      aside.replaceWith(this.side());
      this.parent.querySelector("aside .others")?.replaceWith(known);
      timeline.scrollTop = top;
      this.composer.ticketChanged();
    }
    if (atEnd) timeline.scrollTop = timeline.scrollHeight;
  }

  head() {
    const ticket = this.ticket;
    return h("header.top", null,
      h("a.back", { href: "#/inbox", "aria-label": say("key_back") }, "‹"),
      h("div.title", null,
        h("h1", null, ticket.subject || `#${ticket.number}`),
        h("div.small", null, `#${ticket.number} · ${ticket.channel} · `, h("time", { title: moment(ticket.created_at) }, ago(ticket.created_at)),
          ticket.due_at ? h("span", { class: new Date(ticket.due_at) < new Date() ? "trouble" : "" }, " · ", say("due", { when: ago(ticket.due_at) })) : null)),
      ticket.assignee === this.desk.me.id || this.desk.me.kind !== "agent" ? null
        : h("button", { type: "button", on: { click: () => this.change({ assignee: "me" }) } }, say("take")),
      h("button.primary", { type: "button", hidden: ["solved", "closed"].includes(ticket.status), on: { click: () => this.solve() } }, say("solved")));
  }

  message(message) {
    const out = message.direction === "out";
    const note = message.direction === "internal";
    const open = this.open.has(message.id);
    const cut = message.text_full && message.text_full.trim() !== message.text.trim();
    const toggle = (what, words) => h("button.link", { type: "button", on: { click: () => this.toggle(message.id, what) } }, words);
    const formatted = this.open.has(`${message.id}html`);
    const body = formatted ? frame(message.html)
      : h("div.text", { dir: "auto" }, message.deleted_at ? h("i", null, say("deleted_by")) : marked((open ? message.text_full : message.text) || "—"));
    return h("article.bubble", { class: `${out ? "out" : note ? "note" : "in"} ${message.kind}` },
      h("header", null,
        h("b", null, message.author.name || message.author.address || "–"),
        message.author.address && message.author.address !== message.author.name ? h("span.small", null, message.author.address) : null,
        message.language && message.language !== this.ticket.language ? h("span.tag", { title: say("written_in") }, message.language) : null,
        h("time.small", { title: moment(message.sent_at) }, ago(message.sent_at), message.edited_at ? ` · ${say("edited")}` : "")),
      message.flags.length ? h("div.flags", null, message.flags.map((flag) => h("span.tag", { class: flag }, say(`flag_${flag}`).replace(/^flag_/, "")))) : null,
      body,
      message.attachments.length ? h("div.files", null, message.attachments.map((file) => this.file(file))) : null,
      h("footer.small", null,
        out ? this.delivery(message) : null,
        cut && !formatted ? toggle("", open ? say("less") : say("whole")) : null,
        message.html ? toggle("html", formatted ? say("plain") : say("formatted")) : null,
        message.why.length ? toggle("why", say("why")) : null,
        message.secrets.length && this.desk.me.role === "admin" ? h("button.link", { type: "button", on: { click: () => this.unseal(message.id) } }, say("unseal")) : null,
        message.direction === "in" ? h("a.link", { href: raw(message.id), download: "" }, say("as_came")) : null),
      (this.unsealed.get(message.id) ?? []).map((item) => h("pre.unsealed.small", { dir: "auto" },
        item.words ? Object.values(item.words).flat().join("\n") : say("sealed_file"))),
      this.open.has(`${message.id}why`) ? h("ul.why.small", null, message.why.map((reason) => h("li", null, reason))) : null);
  }

  /** Shows what was masked, until the ticket is left. Who looked, and why, is in the trail. */
  async unseal(id) {
    const reason = prompt(say("unseal_why"))?.trim();
    if (!reason) return;
    try {
      this.unsealed.set(id, (await api.unseal(id, reason)).items);
      this.draw(false);
    } catch (problem) {
      toast(problem.message, { error: true });
    }
  }

  toggle(id, what) {
    const key = id + what;
    if (!this.open.delete(key)) this.open.add(key);
    this.draw(false);
  }

  file(file) {
    const picture = SHOWN_AS_PICTURE.includes(file.media_type) && file.state === "stored" && file.size < 5e6;
    return h("a.file", { href: attachment(file.id), download: file.name, title: file.name },
      picture ? h("img", { src: attachment(file.id), alt: file.name, loading: "lazy" }) : h("span.icon", { "aria-hidden": true }, "📎"),
      h("span", null, file.name), h("span.small", null, bytes(file.size)));
  }

  delivery(message) {
    const delivery = message.delivery;
    if (!delivery) return null;
    const act = (action, words) => h("button.link", { type: "button", on: { click: () => this.deliver(delivery.id, action) } }, words);
    const actions = {
      unconfirmed: [act("retry", say("resend")), act("cancel", say("leave"))],
      failed: [act("retry", say("retry"))],
      bounced: [act("retry", say("retry"))],
      held: [act("release", say("release")), act("cancel", say("cancel"))],
      queued: [act("hold", say("hold")), act("cancel", say("cancel"))],
    }[delivery.status] ?? [];
    return h("span.delivery", { class: TROUBLE.includes(delivery.status) ? "trouble" : "", title: delivery.error ?? "" },
      h("span.mark", { "aria-hidden": true }, { sent: "✓", delivered: "✓✓", read: "✓✓" }[delivery.status] ?? ""),
      say(`delivery.${delivery.status}`),
      delivery.error ? ` · ${delivery.error}` : "",
      delivery.status === "queued" && delivery.next_attempt_at && new Date(delivery.next_attempt_at) > new Date()
        ? ` · ${say("next_try", { when: ago(delivery.next_attempt_at) })}` : "",
      actions);
  }

  async deliver(id, action) {
    try {
      await api.delivery(id, action);
      this.refresh();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
  }

  side() {
    const ticket = this.ticket;
    const choice = (label, values, now, words, set) => h("label", null, h("span", null, label),
      h("select", { on: { change: (event) => set(event.target.value) } },
        values.map((value) => h("option", { value, selected: value === now }, words(value)))));
    const people = ["", ...this.desk.people.map((one) => one.id)];
    const named = (id) => (id ? this.desk.people.find((one) => one.id === id)?.name ?? id : say("nobody"));
    const line = (label, now, set) => h("label", null, h("span", null, label),
      h("input", { value: now, on: { change: (event) => set(event.target.value.trim()) } }));
    return h("aside", null,
      ticket.merged_into ? h("p.notice", null, say("merged"), " ", h("a", { href: `#/ticket/${ticket.merged_into}` }, say("go_there"))) : null,
      choice(say("status"), STATUSES, ticket.status, (value) => say(`status.${value}`), (status) => this.change({ status })),
      choice(say("priority"), PRIORITIES, ticket.priority, (value) => say(`priority.${value}`), (priority) => this.change({ priority })),
      choice(say("assignee"), people, ticket.assignee ?? "", named, (assignee) => this.change({ assignee: assignee || null })),
      line(say("queue"), ticket.queue ?? "", (queue) => this.change({ queue: queue || null })),
      line(say("tags"), ticket.tags.join(", "), (tags) => this.change({ tags: tags.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean) })),
      this.calls.length ? h("section.calls", null, h("h2", null, say("calls")), this.calls.map((one) => h("div.card", null,
        h("p", null, dial(one), " · ", h("time", { title: moment(one.due_at) }, ago(one.due_at))),
        one.wanted || one.note ? h("p.small", { dir: "auto" }, [one.wanted, one.note].filter(Boolean).join(" · ")) : null,
        h("p.small", null, say(`call.${one.status}`), one.agent && one.status === "calling" ? ` · ${one.agent}` : ""),
        h("div.choices", null, callActions(one, () => this.refresh()))))) : null,
      this.suggestions.length ? h("section.known", null, h("h2", null, say("known")), this.suggestions.map((one) => this.suggestion(one))) : null,
      h("section", null, h("h2", null, say("customer")),
        h("p", null, h("b", { dir: "auto" }, ticket.contact.name || "–"), ticket.language ? h("span.tag", { title: say("written_in") }, ticket.language) : null),
        h("ul.plain", null, ticket.contact.identities.map((identity) =>
          h("li", null, identity.value, " ", h("span.tag", { class: identity.trust }, identity.scheme))))),
      h("section.others", null, h("h2", null, say("earlier"))));
  }

  suggestion(one) {
    const insert = (text) => h("button", { type: "button", on: { click: () => this.composer.insert(text) } }, say("insert"));
    return h("details.card", { lang: one.language, data: { article: one.article } }, h("summary", null, one.title, one.sure ? " ✓" : ""),
      h("p.text.small", { dir: "auto" }, one.text),
      h("div.choices", null, insert(one.text)),
      one.follow_ups.length ? h("ul.plain.small", null, one.follow_ups.map((next) =>
        h("li", null, h("button.link", { type: "button", on: { click: () => this.composer.insert(next.text) } }, `${say("insert")}: ${next.title}`)))) : null);
  }

  async others() {
    const found = await api.tickets({ contact: this.ticket.contact.id, limit: 11, sort: "-updated_at" }).catch(() => null);
    const others = (found?.items ?? []).filter((ticket) => ticket.id !== this.ticket.id).slice(0, 10);
    const section = this.parent.querySelector("aside .others");
    section?.append(others.length
      ? h("ul.plain", null, others.map((ticket) => h("li", null, h("span.dot", { class: ticket.status }),
        h("a", { href: `#/ticket/${ticket.number}` }, `#${ticket.number} ${ticket.subject}`))))
      : h("p.small", null, say("none")));
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

  static key = wish;
}

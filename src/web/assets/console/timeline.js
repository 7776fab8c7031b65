// What was said and what happened in one ticket, in order.

import { attachment, formatted, raw } from "./api.js";
import { h, openBox } from "./dom.js";
import { bytes, known, moment, say, when } from "./words.js";

const SHOWN_AS_PICTURE = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const HEARD = ["audio/mpeg", "audio/mp4", "audio/ogg", "audio/wav"];
const SEEN = ["video/mp4", "video/webm"];
/** Larger pictures are shown when they are asked for. */
const PICTURE_BYTES_MAX = 5e6;
const TROUBLE = ["failed", "unconfirmed", "bounced", "held"];
const FIELDS = ["status", "priority", "queue", "assignee", "tags", "subject", "snoozed_until"];

/** All of it: messages, and between them what happened. */
export function timeline(page) {
  const events = page.events.filter((event) => known(`event.${event.kind}`));
  const shown = (message) => ["", "html", "why", "pictures"].map((what) => (page.open.has(message.id + what) ? 1 : 0)).join("") + (page.unsealed.has(message.id) ? "unsealed" : "");
  const items = [
    ...page.messages.map((message) => ({ at: message.received_at ?? message.sent_at, key: message.id, says: JSON.stringify(message) + shown(message), draw: () => bubble(page, message) })),
    ...events.map((event) => ({ at: event.at, key: event.id, says: "", draw: () => happening(page, event) })),
  ];
  // What came at the same moment stays as it was given: messages first.
  const inOrder = items.map((item, place) => ({ ...item, place, at: new Date(item.at).getTime() })).sort((one, other) => one.at - other.at || one.place - other.place);
  return inOrder.map(({ key, says, draw }) => {
    const before = page.drawn.get(key);
    if (before?.says === says) return before.element;
    const element = draw();
    page.drawn.set(key, { says, element });
    return element;
  });
}

// ---- what happened ----

function changed(page, field, { from, to }) {
  const person = (id) => (id ? page.desk.people.find((one) => one.id === id)?.name ?? say("somebody") : say("nobody"));
  const words = (value) => {
    if (field === "assignee") return person(value);
    if (value === null || value === undefined || value === "" || value.length === 0) return "–";
    if (field === "status" || field === "priority") return say(`${field}.${value}`);
    if (field === "snoozed_until") return moment(value);
    return Array.isArray(value) ? value.join(", ") : String(value);
  };
  return `${say(field === "snoozed_until" ? "snooze" : field)}: ${words(from)} → ${words(to)}`;
}

function happening(page, event) {
  const { data } = event;
  const told = event.kind === "ticket.updated"
    ? [...FIELDS.filter((field) => data.changes?.[field]).map((field) => changed(page, field, data.changes[field])),
      data.tags_added?.length ? `${say("tags")}: + ${data.tags_added.join(", ")}` : "",
      data.rules?.length ? say("event.rule.fired", { rule: data.rules.join(", ") }) : ""].filter(Boolean).join(" · ")
    : say(`event.${event.kind}`, data);
  if (!told) return null;
  const who = event.actor.kind === "system" ? "" : `${event.actor.name}: `;
  return h("p.event.small", { data: { kind: event.kind } }, h("bdi", null, who, told), " · ", when(event.at));
}

// ---- what was said ----

/** A text with its masks set off, and its addresses as links. The marks are the daemon's own words in every language. */
function marked(text, trusted) {
  return text.split(/(\[(?:seed phrase|private key|keystore|card number|one-time code|password) removed\]|https?:\/\/[^\s<>"'，。）]+)/)
    .map((piece, number) => {
      if (number % 2 === 0) return piece;
      if (piece.startsWith("[")) return h("mark.masked", null, piece);
      return trusted ? h("a", { href: piece, target: "_blank", rel: "noopener noreferrer" }, piece) : piece;
    });
}

/** Mail as its sender formatted it: a page of the daemon's own in a frame without rights; nothing runs or loads there. */
const frame = (message, pictures) => h("iframe.mail", { sandbox: "", title: say("formatted"), referrerpolicy: "no-referrer", src: formatted(message.id, pictures) });

function bubble(page, message) {
  const out = message.direction === "out";
  const note = message.direction === "internal";
  const open = page.open.has(message.id);
  const cut = message.text_full && message.text_full.trim() !== message.text.trim();
  const toggle = (what, words) => h("button.link", { type: "button", on: { click: () => page.toggle(message.id, what) } }, words);
  // An edit may have taken the formatted text away meanwhile.
  const asSent = Boolean(message.html) && page.open.has(`${message.id}html`);
  const pictures = page.open.has(`${message.id}pictures`);
  const trusted = !message.flags.some((flag) => ["phishing_link", "spoof_suspect", "impostor", "spam"].includes(flag));
  const body = asSent ? frame(message, pictures)
    : h("div.text", { dir: "auto" }, message.deleted_at ? h("i", null, say("deleted_by")) : marked((open ? message.text_full : message.text) || "—", trusted));
  return h("article.bubble", { class: `${out ? "out" : note ? "note" : "in"} ${message.kind}`, data: { message: message.id } },
    h("header", null,
      h("b", null, message.author.name || message.author.address || "–"),
      message.author.address && message.author.address !== message.author.name ? h("span.small", null, message.author.address) : null,
      message.channel !== page.ticket.channel && !note ? h("span.tag", null, message.channel) : null,
      ["call", "voicemail", "comment"].includes(message.kind) ? h("span.tag", null, say(`sort.${message.kind}`)) : null,
      !out && message.language && message.language !== page.ticket.language ? h("span.tag", { title: say("written_in") }, message.language) : null,
      h("span.small.at", null, when(message.sent_at), message.edited_at ? ` · ${say("edited")}` : "")),
    message.flags.length ? h("div.flags", null, message.flags.map((flag) => h("span.tag", { class: flag }, say(`flag_${flag}`).replace(/^flag_/, "")))) : null,
    body,
    message.attachments.length ? h("div.files", null, message.attachments.map((file) => fileOf(file))) : null,
    h("footer.small", null,
      out ? delivery(page, message) : null,
      cut && !asSent ? toggle("", open ? say("less") : say("whole")) : null,
      message.html ? toggle("html", asSent ? say("plain") : say("formatted")) : null,
      asSent && !pictures && message.html.includes("data-src=") ? toggle("pictures", say("pictures")) : null,
      message.why.length ? toggle("why", say("why")) : null,
      message.secrets.length && page.desk.me.role === "admin" ? h("button.link", { type: "button", on: { click: () => page.unseal(message.id) } }, say("unseal")) : null,
      message.direction === "in" ? h("a.link", { href: raw(message.id), download: "" }, say("as_came")) : null),
    (page.unsealed.get(message.id) ?? []).map((item) => h("pre.unsealed.small", { dir: "auto" },
      item.words ? Object.values(item.words).flat().join("\n") : say("sealed_file"))),
    page.open.has(`${message.id}why`) ? h("ul.why.small", null, message.why.map((reason) => h("li", null, reason))) : null);
}

function fileOf(file) {
  const stored = file.state === "stored";
  const address = attachment(file.id);
  const inline = `${address}?inline=true`;
  if (stored && HEARD.includes(file.media_type)) {
    return h("figure.heard", null, h("audio", { controls: true, preload: "none", src: inline, "aria-label": file.name }),
      h("figcaption.small", null, h("a", { href: address, download: file.name }, file.name), " ", bytes(file.size)));
  }
  if (stored && SEEN.includes(file.media_type)) {
    return h("figure.heard", null, h("video", { controls: true, preload: "none", src: inline, "aria-label": file.name }), h("figcaption.small", null, file.name));
  }
  const picture = stored && SHOWN_AS_PICTURE.includes(file.media_type) && file.size < PICTURE_BYTES_MAX;
  const link = h("a.file", { href: picture ? inline : address, target: picture ? "_blank" : null, rel: picture ? "noopener" : null, download: picture ? null : file.name, title: file.name },
    picture ? h("img", { src: address, alt: file.name, loading: "lazy" }) : h("span.icon", { "aria-hidden": "true" }, "📎"),
    h("span", null, file.name), h("span.small", null, stored ? bytes(file.size) : say(`file.${file.state}`)));
  if (!stored || file.media_type !== "application/pdf") return link;
  return h("span.file", null, link.firstChild, h("a.name", { href: address, download: file.name }, file.name), h("span.small", null, bytes(file.size)),
    h("button.link", { type: "button", on: { click: () => showPdf(inline, file.name) } }, say("look")));
}

function showPdf(address, name) {
  const box = h("dialog.pdf", { "aria-label": name }, h("iframe", { src: address, title: name }),
    h("form", { method: "dialog" }, h("button", null, say("close"))));
  openBox(box);
}

function delivery(page, message) {
  const sent = message.delivery;
  if (!sent) return null;
  const act = (action, words) => h("button.link", { type: "button", on: { click: () => page.deliver(sent.id, action) } }, words);
  const actions = {
    unconfirmed: [act("retry", say("resend")), act("cancel", say("leave"))],
    failed: [act("retry", say("retry")), act("cancel", say("leave"))],
    bounced: [act("retry", say("retry"))],
    held: [act("release", say("release")), act("cancel", say("cancel"))],
    queued: [act("hold", say("hold")), act("cancel", say("cancel"))],
  }[sent.status] ?? [];
  return h("span.delivery", { class: TROUBLE.includes(sent.status) ? "trouble" : "", title: sent.error ?? "" },
    h("span.mark", { "aria-hidden": "true" }, { sent: "✓", delivered: "✓✓", read: "✓✓" }[sent.status] ?? ""),
    say(`delivery.${sent.status}`),
    sent.error ? ` · ${sent.error}` : "",
    sent.status === "queued" && sent.next_attempt_at && new Date(sent.next_attempt_at) > new Date() ? [" · ", when(sent.next_attempt_at, "next_try")] : "",
    page.desk.me.role === "read_only" ? null : actions);
}

// Where agents write: reply or note, files by button, drop and paste, now or later, some seconds to take it back.
// What is not sent yet is kept by the daemon, for whatever device the agent goes on with.

import { api, wish } from "./api.js";
import { h, fill, openBox, toast } from "./dom.js";
import { count } from "./segments.js";
import { ago, bytes, moment, say } from "./words.js";

const UNDO_SECONDS = 4;
/** After so long without a key, the draft is kept. */
const KEEP_AFTER = 600;
/** While somebody writes on and on, the draft is handed over so often all the same, and the customer sees that they type. */
const TELL_EVERY = 4000;
/** How near the end of a reply window is told. */
const NEAR = 24 * 3600 * 1000;

/** How long a text is, as the service of a channel counts. */
const LENGTHS = {
  bytes: (text) => new TextEncoder().encode(text).length,
  chars: (text) => [...text].length,
  utf16: (text) => text.length,
  segments: (text) => text.length,
};

export class Composer {
  constructor(page, draft) {
    this.page = page;
    this.kept = `tributary.draft.${page.ticket.id}`;
    // What this tab could not hand over yet is newer than what the daemon has.
    const unsaved = JSON.parse(sessionStorage.getItem(this.kept) ?? "null");
    const begun = unsaved ?? draft ?? { kind: "reply", text: "" };
    this.kind = begun.kind;
    this.files = [];
    /** How many messages are on their way to the daemon. */
    this.sending = 0;
    /** They are handed over one after the other. */
    this.posting = Promise.resolve();
    /** Versions of the ticket that only what was written here raised. */
    this.own = new Set();
    /** Keys of what may have been taken although its answer was lost, by what it says. */
    this.keys = new Map();
    this.known = begun.text && begun.version ? begun.version : page.ticket.version;
    this.saved = draft ? this.shape(draft) : "";
    this.tabs = h("div.tabs", { role: "group", "aria-label": say("kind_of_message") }, ["reply", "note"].map((kind) =>
      h("button.tab", { type: "button", data: { kind }, on: { click: () => this.choose(kind) } }, say(kind))));
    this.text = h("textarea", { rows: 4, dir: "auto", value: begun.text, on: {
      input: () => { this.known ??= page.ticket.version; if (!this.text.value) this.keys.clear(); this.keep(); this.count(); this.name(); this.tell(); this.slash(); },
      focus: () => { if (!this.text.value) this.known = page.ticket.version; },
      blur: () => this.handOver(),
      keydown: (event) => this.key(event),
      paste: (event) => this.add(event.clipboardData.files),
    } });
    this.names = h("div.mentions", { role: "group", "aria-label": say("mention"), hidden: true });
    const pick = h("input", { type: "file", multiple: true, hidden: true, on: { change: () => { this.add(pick.files); pick.value = ""; } } });
    this.listed = h("div.files");
    this.extra = h("div.files");
    this.via = h("select.via", { "aria-label": say("by_which"), hidden: true, on: { change: () => this.choose(this.kind) } });
    this.below = h("pre", { dir: "auto" });
    this.signed = h("details.signed", { hidden: true }, h("summary.small", null, say("signature")), this.below);
    this.counter = h("span.small.counter", { role: "status" });
    this.later = h("input.later", { type: "datetime-local", "aria-label": say("send_at"), hidden: true });
    this.laterButton = h("button", { type: "button", "aria-expanded": "false", on: { click: () => this.plan(this.later.hidden) } }, say("later"));
    this.button = h("button.primary", { type: "button", on: { click: () => this.send() } });
    this.element = h("section.composer", { on: {
      dragover: (event) => event.preventDefault(),
      drop: (event) => { event.preventDefault(); this.add(event.dataTransfer.files); },
    } },
    h("div.bar", null, this.tabs, this.via, this.counter), this.names, this.text, this.signed, this.extra, this.listed,
    h("div.bar", null, pick, h("button", { type: "button", title: say("canned"), on: { click: () => this.canned() } }, h("span", { "aria-hidden": true }, "/ "), h("span.wide", null, say("canned"))), h("button", { type: "button", on: { click: () => pick.click() } }, say("attach")),
      this.laterButton, this.later, h("span.small.hint.wide", null, "Ctrl ⏎"), this.button));
    this.leave = () => this.handOver(true);
    window.addEventListener("pagehide", this.leave);
    this.drawWays();
    this.choose(this.kind);
  }

  close() {
    window.removeEventListener("pagehide", this.leave);
    // Whoever goes to another ticket does not wait for the last chance to take it back.
    this.pending?.();
    this.handOver(true);
  }

  choose(kind) {
    this.kind = kind;
    const ticket = this.page.ticket;
    const name = ticket.contact.name || ticket.contact.identities[0]?.value || say("customer");
    this.text.placeholder = kind === "note" ? say("note_hint") : say({ call: "reply_by_call", sms: "reply_by_sms" }[this.channel()?.capabilities.goes_as] ?? "reply_to", { name, channel: this.channel()?.name ?? ticket.channel });
    this.text.setAttribute("aria-label", this.text.placeholder);
    this.laterButton.hidden = kind === "note";
    this.via.hidden = kind === "note" || this.via.options.length < 2;
    if (kind === "note") this.plan(false);
    this.button.textContent = kind === "note" ? say("leave_note") : say("send");
    this.element.classList.toggle("note", kind === "note");
    for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.kind === kind));
    this.keep();
    this.count();
    this.name();
  }

  focus(kind) {
    this.choose(kind);
    this.text.focus();
  }

  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      this.send();
      return;
    }
    const first = this.names.hidden ? null : this.names.querySelector("button");
    if (!first || event.isComposing) return;
    if (event.key === "Tab" || event.key === "Enter") {
      event.preventDefault();
      first.click();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.names.hidden = true;
    }
  }

  /** Puts a text where the agent writes, in the place of what is marked; they read it before they send it. */
  insert(text) {
    this.choose("reply");
    if (!this.text.value) this.known = this.page.ticket.version;
    this.text.setRangeText(text, this.text.selectionStart, this.text.selectionEnd, "end");
    this.keep();
    this.count();
    this.text.focus();
  }

  /** Shows when it is to go out, or lets it go out at once. */
  plan(later) {
    this.later.hidden = !later;
    this.laterButton.setAttribute("aria-expanded", String(later));
    if (!later) {
      this.later.value = "";
      return;
    }
    // Tomorrow at nine, in the agent's own time.
    const at = new Date(Date.now() + 24 * 3600 * 1000);
    at.setHours(9, 0, 0, 0);
    const two = (number) => String(number).padStart(2, "0");
    this.later.value = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T09:00`;
    this.later.focus();
  }

  // ---- how much finds room, and until when ----

  /** By which the reply goes: where the customer wrote, unless another one is chosen. */
  channel() {
    return this.page.channels.find((one) => one.name === (this.via.value || this.page.ticket.channel));
  }

  /** Other channels that reach one of the customer's addresses. */
  drawWays() {
    const { channel, contact } = this.page.ticket;
    const reaches = (one) => contact.identities.some((identity) =>
      one.capabilities.schemes.includes(identity.scheme) && (!identity.scope || identity.scope === one.name));
    const others = this.page.channels.filter((one) => one.name !== channel && one.capabilities.sends && reaches(one));
    const now = this.via.value;
    fill(this.via, ["", ...others.map((one) => one.name)].map((name) => h("option", { value: name, selected: name === now }, name || channel)));
  }

  // ---- what stands below it ----

  /** Shows the signature that the daemon will put below a reply by this channel, in the customer's language. */
  async sign() {
    const { id, channel, language, queue } = this.page.ticket;
    const none = () => this.kind === "note" || this.template || this.page.desk.me.role === "read_only";
    const of = [this.via.value || channel, language, queue].join(" ");
    if (!none() && this.signedFor !== of) {
      this.signedFor = of;
      this.signed.hidden = true;
      const found = await api.signature(id, this.via.value).catch(() => null);
      // Another one was asked for since.
      if (this.signedFor !== of) return;
      this.below.textContent = found?.text ?? "";
    }
    this.signed.hidden = none() || !this.below.textContent;
  }

  // ---- canned answers and templates ----

  /** A slash where a line begins asks for a canned answer. */
  slash() {
    const at = this.text.selectionStart;
    if (!/(^|\n)\/$/.test(this.text.value.slice(0, at))) return;
    this.text.setRangeText("", at - 1, at, "end");
    this.canned(() => this.text.setRangeText("/", at - 1, at - 1, "end"));
  }

  async canned(none) {
    const { chooseMacro, deeds } = await import("./macros.js");
    const back = () => { none?.(); this.text.focus(); };
    await chooseMacro(this.page.ticket, (macro, text) => {
      if (text) this.insert(text);
      this.macro = Object.keys(macro.actions).length ? { id: macro.id, words: `${macro.name}: ${deeds(macro.actions)}` } : null;
      // With nothing to say there is nothing to wait for.
      if (!text && this.macro) {
        this.finish(this.macro);
        this.macro = null;
      }
      this.drawExtra();
    }, back).catch((problem) => { toast(say("failed", { why: problem.message }), { error: true }); back(); });
  }

  /** Does what a macro does besides its text. */
  async finish(macro) {
    try {
      await this.page.finish(macro.id);
      toast(say("done", { what: macro.words }));
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
  }

  /** What goes along with the text. */
  drawExtra() {
    const chip = (words, drop) => h("span.file", null, h("span", null, words), h("button.link", { type: "button", "aria-label": `${say("drop")}: ${words}`, on: { click: drop } }, "×"));
    fill(this.extra,
      this.macro ? chip(this.macro.words, () => { this.macro = null; this.drawExtra(); }) : null,
      this.template ? chip(`${say("template")}: ${this.template.name} (${this.template.language})`, () => { this.template = null; this.drawExtra(); }) : null,
      this.kind === "reply" && !this.template && this.channel()?.capabilities.templates
        ? h("button.small", { type: "button", on: { click: () => this.askTemplate() } }, `${say("template")}…`) : null);
    this.sign();
  }

  /** Which template, and what goes into its blanks: the service knows whether it fits. */
  askTemplate() {
    const field = (name, props) => h("label", null, h("span.small", null, say(`template.${name}`)), h(props?.rows ? "textarea" : "input", { name, ...props }));
    const box = h("dialog", { "aria-label": say("template") });
    const form = h("form", { method: "dialog", on: { submit: () => {
      const { name, language, blanks } = Object.fromEntries(new FormData(form));
      const texts = blanks.split("\n").map((text) => text.trim()).filter(Boolean);
      this.template = { name: name.trim(), language: language.trim(),
        components: texts.length ? [{ type: "body", parameters: texts.map((text) => ({ type: "text", text })) }] : [] };
      this.drawExtra();
    } } }, h("h2", null, say("template")), field("name", { required: true }), field("language", { required: true, value: "en_US" }), field("blanks", { rows: 3 }),
    h("div.choices", null, h("button.primary", null, say("confirm")), h("button", { type: "button", on: { click: () => box.close() } }, say("cancel"))));
    box.append(form);
    openBox(box, () => this.text.focus());
  }

  count() {
    this.drawExtra();
    const can = this.channel()?.capabilities;
    if (this.kind === "note" || !can) {
      fill(this.counter);
      return;
    }
    const length = (LENGTHS[can.text_unit] ?? LENGTHS.chars)(this.text.value);
    const parts = Math.ceil(length / can.text_max);
    const room = length > can.text_max * 0.8 || length > 500 ? say("length", { length, most: can.text_max }) : "";
    const cut = parts > 1 ? say("parts", { n: parts }) : "";
    const short = can.text_unit === "segments" && this.text.value.trim() ? say("segments", count(this.text.value.trim() + (can.text_numbered && parts > 1 ? "(1/9) ".repeat(parts) : ""))) : "";
    const size = this.files.reduce((sum, file) => sum + file.size, 0);
    const tooMuch = this.files.length > can.media_count_max || size > can.media_bytes_max;
    const files = !tooMuch ? "" : can.media_count_max ? say("files_max", { n: can.media_count_max, size: bytes(can.media_bytes_max) }) : say("no_files");
    const ends = this.windowEnds(can);
    const left = ends === null ? Infinity : ends - Date.now();
    const window = left <= 0 ? say("window_over", { when: moment(ends) }) : left < NEAR ? say("window_ends", { when: ago(ends) }) : "";
    this.counter.classList.toggle("trouble", parts > 1 || tooMuch || left <= 0);
    fill(this.counter, [room, cut, short, files, window].filter(Boolean).join(" · "));
  }

  /** When the channel takes no answer any more; null: never. */
  windowEnds(can) {
    const last = this.page.ticket.last_inbound_at;
    // How long ago they wrote elsewhere says nothing.
    if (!can.reply_window_seconds || !last || this.via.value) return null;
    return new Date(last).getTime() + can.reply_window_seconds * 1000;
  }

  // ---- whom a note is for ----

  /** Offers names while somebody writes one behind an `@`. */
  name() {
    const before = this.text.value.slice(0, this.text.selectionStart);
    const begun = this.kind === "note" ? /(?:^|[^\p{L}\p{N}])@([\p{L}\p{N} ]{0,30})$/u.exec(before) : null;
    const words = begun?.[1].toLowerCase();
    const fits = begun ? this.page.desk.people.filter((one) => one.id !== this.page.desk.me.id && one.name.toLowerCase().startsWith(words)).slice(0, 6) : [];
    this.names.hidden = fits.length === 0;
    fill(this.names, fits.map((one) => h("button.small", { type: "button", on: { mousedown: (event) => event.preventDefault(), click: () => {
      const at = before.length - begun[1].length;
      this.text.setRangeText(`${one.name} `, at, before.length, "end");
      this.names.hidden = true;
      this.keep();
      this.text.focus();
    } } }, `@${one.name}`)));
  }

  // ---- who sees that somebody writes ----

  /** Tells the customer, and by the draft the colleagues. */
  tell() {
    const now = Date.now();
    if (now - (this.told ?? 0) < TELL_EVERY || !this.text.value) return;
    this.told = now;
    this.handOver();
    if (this.kind === "reply") api.typing(this.page.ticket.id).catch(() => {});
  }

  // ---- drafts ----

  shape(draft) {
    return JSON.stringify({ kind: draft.kind, text: draft.text, version: draft.version ?? null });
  }

  draft() {
    return { kind: this.kind, text: this.text.value, version: this.known ?? null };
  }

  /** Notes at once in this tab, and a moment later at the daemon. */
  keep() {
    if (!this.text) return;
    const draft = this.draft();
    if (!draft.text && !this.saved) {
      sessionStorage.removeItem(this.kept);
      return;
    }
    if (this.shape(draft) === this.saved) return;
    sessionStorage.setItem(this.kept, JSON.stringify(draft));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.handOver(), KEEP_AFTER);
  }

  /** Gives the draft to the daemon. `last`: the page is being left, so nothing waits for the answer. */
  handOver(last) {
    this.handing = this.handOverNow(last);
    return this.handing;
  }

  async handOverNow(last) {
    clearTimeout(this.timer);
    if (this.page.desk.me.role === "read_only" || this.sending) return;
    const draft = this.draft();
    const shape = draft.text ? this.shape(draft) : "";
    if (shape === this.saved) return;
    const before = this.saved;
    this.saved = shape;
    try {
      await api.keepDraft(this.page.ticket.id, draft, last);
      if (this.saved === shape) sessionStorage.removeItem(this.kept);
    } catch (problem) {
      if (this.saved === shape) this.saved = before;
      if (problem.code === "secret") {
        // Such a thing is kept nowhere, not here either.
        this.saved = shape;
        sessionStorage.removeItem(this.kept);
        toast(say("draft_secret"), { error: true });
      }
    }
  }

  /** With nothing written, there is nothing that could be out of date. */
  ticketChanged() {
    if (!this.text.value) this.known = this.page.ticket.version;
    this.drawWays();
    this.count();
  }

  // ---- files ----

  async add(files) {
    for (const file of files) {
      const entry = { name: file.name, size: file.size, id: null };
      this.files.push(entry);
      this.drawFiles();
      try {
        entry.id = (await api.upload(file, wish())).id;
      } catch (problem) {
        this.files = this.files.filter((known) => known !== entry);
        toast(say("failed", { why: problem.message }), { error: true });
      }
      this.drawFiles();
    }
  }

  drawFiles() {
    this.count();
    fill(this.listed, this.files.map((file) => h("span.file", { class: file.id ? "" : "loading" }, h("span", null, file.name), h("span.small", null, bytes(file.size)),
      h("button.link", { type: "button", "aria-label": `${say("drop")}: ${file.name}`, on: { click: () => {
        this.files = this.files.filter((known) => known !== file);
        this.drawFiles();
      } } }, "×"))));
  }

  // ---- away with it ----

  send() {
    const text = this.text.value.trim();
    if ((!text && !this.files.length && !this.template) || this.files.some((file) => !file.id)) return;
    if (this.kind === "reply" && this.page.writing.length && !this.warned) {
      // Two answers to one question are worse than one that waits.
      this.warned = true;
      toast(say("writes_stop", { name: this.page.writing.join(", ") }), { error: true, seconds: 8 });
      return;
    }
    const message = { kind: this.kind, text, attachments: this.files.map((file) => file.id) };
    const at = this.later.hidden || !this.later.value ? null : new Date(this.later.value);
    if (at && at <= new Date()) {
      toast(say("in_the_past"), { error: true });
      return;
    }
    if (at) message.send_at = at.toISOString();
    if (this.kind === "reply" && this.via.value) message.via = this.via.value;
    if (this.kind === "reply" && this.template) message.template = this.template;
    // What was sent before goes first, whether or not it could still be taken back.
    this.pending?.();
    const before = { kind: this.kind, text: this.text.value, files: this.files, known: this.known, later: this.later.value,
      via: this.via.value, macro: this.macro, template: this.template };
    // Until it is taken, the draft stays with the daemon: whoever closes the page now finds it again.
    this.handOver();
    this.sending += 1;
    this.text.value = "";
    this.files = [];
    this.macro = null;
    this.template = null;
    this.plan(false);
    this.drawFiles();
    this.count();
    if (message.kind === "note") {
      this.post(message, before);
      return;
    }
    const words = at ? say("planned_undo", { when: moment(at) }) : say("sent_undo");
    const go = () => {
      clearTimeout(timer);
      this.pending = null;
      close();
      this.post(message, before);
    };
    const close = toast(words, { label: say("undo"), seconds: UNDO_SECONDS, action: () => {
      clearTimeout(timer);
      this.pending = null;
      this.restore(before);
      toast(say("undone"));
    } });
    this.pending = go;
    const timer = setTimeout(go, UNDO_SECONDS * 1000);
  }

  restore(before) {
    this.sending -= 1;
    // What was written since stays below it. Of a note nothing may get into a reply.
    const since = this.text.value;
    const kind = since && this.kind === "note" ? "note" : before.kind;
    this.text.value = since ? `${before.text}\n${since}` : before.text;
    this.files = before.files.concat(this.files);
    this.known = this.since(before.known);
    this.via.value = before.via;
    this.macro ??= before.macro;
    this.template ??= before.template;
    this.choose(kind);
    if (before.later) {
      this.plan(true);
      this.later.value = before.later;
    }
    this.drawFiles();
  }

  post(message, before) {
    const next = () => this.postNow(message, before);
    this.posting = this.posting.then(next, next);
  }

  /** What was known, and what was written here since. */
  since(version) {
    let now = version;
    while (this.own.has(now)) now += 1;
    return now;
  }

  async postNow(message, before) {
    const words = JSON.stringify(message);
    const key = this.keys.get(words) ?? wish();
    this.keys.set(words, key);
    const known = this.since(before.known);
    try {
      await this.handing;
      await this.page.send(message, key, known);
      this.keys.delete(words);
      this.sending -= 1;
      // It was taken because the ticket still was as it was known, and has raised it by one.
      if (known !== undefined) this.own.add(known);
      this.known = known === undefined ? this.page.ticket.version : this.since(this.known);
      this.saved ||= " ";
      await this.handOver();
      if (before.macro) await this.finish(before.macro);
      this.page.refresh();
    } catch (problem) {
      this.restore(before);
      const stale = problem.status === 412 || problem.status === 409;
      toast(stale ? say("stale") : say("failed", { why: problem.message }), { error: true, seconds: 10 });
      if (!stale) return;
      // Whoever has seen this may send all the same.
      this.known = undefined;
      this.page.load(false).then(() => { this.known = this.page.ticket.version; });
    }
  }
}

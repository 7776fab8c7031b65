// Where agents write: reply or note, files by button, drop and paste, some seconds to take it back. A draft
// stays in this browser until it is sent.

import { api, wish } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { bytes, say } from "./words.js";

const UNDO_SECONDS = 4;

export class Composer {
  constructor(page) {
    this.page = page;
    this.kept = `tributary.draft.${page.ticket.id}`;
    const draft = JSON.parse(sessionStorage.getItem(this.kept) ?? "null") ?? { kind: "reply", text: "" };
    this.kind = draft.kind;
    this.files = [];
    this.known = page.ticket.version;
    this.tabs = h("div.tabs", { role: "tablist" }, ["reply", "note"].map((kind) =>
      h("button.tab", { type: "button", role: "tab", data: { kind }, on: { click: () => this.choose(kind) } }, say(kind))));
    this.text = h("textarea", { rows: 4, dir: "auto", value: draft.text, on: {
      input: () => { this.known ??= page.ticket.version; this.keep(); },
      focus: () => { if (!this.text.value) this.known = page.ticket.version; },
      keydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send(); },
      paste: (event) => this.add(event.clipboardData.files),
    } });
    const pick = h("input", { type: "file", multiple: true, hidden: true, on: { change: () => { this.add(pick.files); pick.value = ""; } } });
    this.names = h("div.files");
    this.button = h("button.primary", { type: "button", on: { click: () => this.send() } });
    this.element = h("section.composer", { on: {
      dragover: (event) => event.preventDefault(),
      drop: (event) => { event.preventDefault(); this.add(event.dataTransfer.files); },
    } },
    this.tabs, this.text, this.names,
    h("div.bar", null, pick, h("button", { type: "button", on: { click: () => pick.click() } }, say("attach")),
      h("span.small.hint", null, "Ctrl ⏎"), this.button));
    this.choose(this.kind);
  }

  choose(kind) {
    this.kind = kind;
    const ticket = this.page.ticket;
    const name = ticket.contact.name || ticket.contact.identities[0]?.value || say("customer");
    this.text.placeholder = kind === "note" ? say("note_hint") : say("reply_to", { name, channel: ticket.channel });
    this.text.setAttribute("aria-label", this.text.placeholder);
    this.button.textContent = kind === "note" ? say("leave_note") : say("send");
    this.element.classList.toggle("note", kind === "note");
    for (const tab of this.tabs.children) tab.setAttribute("aria-selected", tab.dataset.kind === kind);
    this.keep();
  }

  focus(kind) {
    this.choose(kind);
    this.text.focus();
  }

  /** Puts a text where the agent writes, in the place of what is marked; they read it before they send it. */
  insert(text) {
    this.choose("reply");
    if (!this.text.value) this.known = this.page.ticket.version;
    this.text.setRangeText(text, this.text.selectionStart, this.text.selectionEnd, "end");
    this.keep();
    this.text.focus();
  }

  keep() {
    if (this.text?.value) sessionStorage.setItem(this.kept, JSON.stringify({ kind: this.kind, text: this.text.value }));
    else sessionStorage.removeItem(this.kept);
  }

  /** With nothing written, there is nothing that could be out of date. */
  ticketChanged() {
    if (!this.text.value) this.known = this.page.ticket.version;
  }

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
    fill(this.names, this.files.map((file) => h("span.file", { class: file.id ? "" : "loading" }, h("span", null, file.name), h("span.small", null, bytes(file.size)),
      h("button.link", { type: "button", "aria-label": `${say("drop")}: ${file.name}`, on: { click: () => {
        this.files = this.files.filter((known) => known !== file);
        this.drawFiles();
      } } }, "×"))));
  }

  send() {
    const text = this.text.value.trim();
    if ((!text && !this.files.length) || this.files.some((file) => !file.id)) return;
    const message = { kind: this.kind, text, attachments: this.files.map((file) => file.id) };
    const before = { kind: this.kind, text: this.text.value, files: this.files, known: this.known };
    this.text.value = "";
    this.files = [];
    this.keep();
    this.drawFiles();
    if (message.kind === "note") {
      this.post(message, before);
      return;
    }
    let undone = false;
    const close = toast(say("sent_undo"), { label: say("undo"), seconds: UNDO_SECONDS, action: () => {
      undone = true;
      this.restore(before);
      toast(say("undone"));
    } });
    setTimeout(() => {
      close();
      if (!undone) this.post(message, before);
    }, UNDO_SECONDS * 1000);
  }

  restore(before) {
    this.text.value = before.text;
    this.files = before.files;
    this.choose(before.kind);
    this.drawFiles();
    this.keep();
  }

  async post(message, before) {
    try {
      await this.page.send(message, wish(), before.known);
      this.known = this.page.ticket.version;
      this.page.refresh();
    } catch (problem) {
      this.restore(before);
      const stale = problem.status === 412 || problem.status === 409;
      toast(stale ? say("stale") : say("failed", { why: problem.message }), { error: true, seconds: 10 });
      // Whoever has seen this may send all the same.
      this.known = undefined;
      if (stale) this.page.load(false).then(() => { this.known = this.page.ticket.version; });
    }
  }
}

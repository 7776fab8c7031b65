// The forms: before a conversation, when nobody is there, and for a call.

import { h } from "./view.js";

export class Form {
  constructor(chat, sort) {
    this.chat = chat;
    this.words = chat.words;
    this.fields = [];
    const parts = sort === "callback" ? this.call() : this.first();
    this.element = h("form.sheet", { noValidate: true, onsubmit: (event) => this.submit(event, sort) }, ...parts);
  }

  first() {
    const { chat, words } = this;
    const { ask = {}, topics = [], urgencies = [], questions = [], open } = chat.settings;
    const away = open === false;
    const email = away && ask.email_when_closed !== "off" ? ask.email_when_closed : ask.email;
    const lead = away ? words.awayHint : chat.text(chat.settings.greeting, words.greeting);
    const parts = [h("p.lead", {}, lead)];
    if (ask.name && ask.name !== "off") {
      parts.push(this.field("name", words.name, ask.name, h("input", { autocomplete: "name", maxLength: 100, dir: "auto" })));
    }
    if (email && email !== "off") {
      const input = h("input", { type: "email", autocomplete: "email", maxLength: 254, inputMode: "email" });
      const check = (value) => /^[^\s@]+@[^\s@]+\.[^\s@.]+$/.test(value) || words.badEmail;
      parts.push(this.field("email", words.email, email, input, { check, hint: words.emailHint }));
    }
    if (topics.length) {
      const options = topics.map((topic) => h("option", { value: topic.id }, chat.text(topic.label, topic.id)));
      const select = h("select", {}, h("option", { value: "" }, words.choose), ...options);
      parts.push(this.field("topic", words.topic, "required", select));
    }
    for (const question of questions) {
      const need = question.required ? "required" : "optional";
      const input = h("input", { maxLength: 500, dir: "auto" });
      parts.push(this.field(question.id, chat.text(question.label, question.id), need, input, { own: true }));
    }
    if (urgencies.length) parts.push(this.urgency(urgencies));
    const limit = chat.settings.text_chars_max ?? 10000;
    const message = h("textarea", { rows: 4, maxLength: limit, dir: "auto" });
    parts.push(this.field("text", words.message, "required", message));
    parts.push(h("button.main", { type: "submit" }, away ? words.leave : words.begin));
    return parts;
  }

  call() {
    const { words } = this;
    const phone = h("input", { type: "tel", autocomplete: "tel", inputMode: "tel", maxLength: 30, placeholder: "+86 138 0013 8000", dir: "ltr" });
    const check = (value) => /^(\+|00)[1-9]\d{6,14}$/.test(value.replace(/[\s\-().\/]/g, "")) || words.badPhone;
    this.zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    this.slots = h("select", {}, h("option", { value: "" }, words.soon));
    this.offer();
    return [
      this.field("phone", words.phone, "required", phone, { check }),
      this.field("at", words.when, "optional", this.slots),
      h("button.main", { type: "submit" }, words.callbackSend),
      h("button.plain", { type: "button", onclick: () => this.chat.page("talk") }, words.back),
    ];
  }

  // Times in the hours of both sides. Without them a call comes as soon as can be.
  async offer() {
    const { slots } = await this.chat.client.plain(`callback?time_zone=${encodeURIComponent(this.zone)}`).catch(() => ({ slots: [] }));
    const shown = new Intl.DateTimeFormat(this.chat.language, { weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
    this.slots.append(...slots.map((at) => h("option", { value: at }, shown.format(new Date(at)))));
  }

  urgency(urgencies) {
    const first = urgencies.includes("normal") ? "normal" : urgencies[0];
    const pick = urgencies.map((word) =>
      h("label", {}, h("input", { type: "radio", name: "urgency", value: word, checked: word === first }), h("span", {}, this.words[word])));
    return h("fieldset", {}, h("legend", {}, this.words.urgency), h("div.pick", {}, ...pick));
  }

  field(name, label, need, input, { check, hint, own } = {}) {
    const wrong = h("small.wrong", { id: `wrong-${name}`, role: "alert", hidden: true });
    input.setAttribute("aria-describedby", wrong.id);
    if (need === "required") input.required = true;
    input.addEventListener("input", () => this.fault(one, null));
    const one = { name, input, need, check, own, wrong };
    this.fields.push(one);
    const rest = need === "required" ? null : h("small", {}, this.words.optional);
    const head = h("span", {}, label, " ", rest);
    return h("label", {}, head, input, hint ? h("small", {}, hint) : null, wrong);
  }

  fault({ input, wrong }, text) {
    wrong.hidden = !text;
    wrong.textContent = text ?? "";
    input.setAttribute("aria-invalid", String(Boolean(text)));
  }

  submit(event, sort) {
    event.preventDefault();
    let first = null;
    for (const one of this.fields) {
      const value = one.input.value.trim();
      const verdict = value ? one.check?.(value) ?? true : one.need !== "required" || this.words.needed;
      this.fault(one, verdict === true ? null : verdict);
      if (verdict !== true) first ??= one.input;
    }
    if (first) return first.focus();
    const said = sort === "callback" ? { path: "callback", time_zone: this.zone } : { page: location.href };
    const fields = {};
    for (const { name, input, own } of this.fields) {
      const value = input.value.trim();
      if (value) (own ? fields : said)[name] = value;
    }
    // Agents read it as the customer did.
    if (said.at) said.when = this.slots.selectedOptions[0].textContent;
    if (Object.keys(fields).length) said.fields = fields;
    const urgency = this.element.querySelector("input[name=urgency]:checked");
    if (urgency) said.urgency = urgency.value;
    this.chat.client.say(said);
    this.chat.page("talk");
    this.chat.input.focus();
  }
}

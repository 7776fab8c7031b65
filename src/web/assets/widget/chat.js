// The widget: a button in the corner, and the panel that it opens. All of it in a shadow tree, so that the
// page's rules and ours leave each other alone.

import { Client, Refused } from "./client.js";
import { Form } from "./form.js";
import { h, icon, linked, onColour, size } from "./view.js";
import style from "./style.js";

const RTL = /^(ar|he|fa|ur|yi|ps|sd|ckb|dv)\b/i;
const PICTURES = /^image\/(png|jpeg|gif|webp)$/;

export function start(base, options) {
  const element = document.createElement("tributary-chat");
  document.body.append(element);
  element.begin(base, options);
  return {
    open: () => element.show(true),
    close: () => element.show(false),
    // { jwt } or { user_id, hash, name, email }, both signed by the site's own server.
    identify: (who) => element.identify(who),
    signOut: () => element.client.signOut(),
  };
}

class Chat extends HTMLElement {
  async begin(base, options) {
    this.options = options;
    this.language = options.language || document.documentElement.lang || navigator.language || "en";
    if (!options.language && navigator.language) this.language = navigator.language;
    const words = this.language.toLowerCase().startsWith("zh") ? "./zh.js" : "./en.js";
    this.words = (await import(words)).default;
    this.client = new Client(base, options.channel || "web", this.language);
    this.settings = {};
    this.picked = [];
    this.pictures = new Map();
    this.draw();
    const client = this.client;
    client.addEventListener("change", (event) => this.update(event.detail));
    client.addEventListener("incoming", (event) => this.incoming(event.detail));
    client.addEventListener("online", () => this.update());
    client.addEventListener("slow", () => this.say(this.words.slow));
    document.addEventListener("visibilitychange", () => this.markRead());
    if (options.jwt) client.identity = { jwt: options.jwt };
    else if (options.userId)
      client.identity = {
        identity: { user_id: options.userId, hash: options.userHash, name: options.userName, email: options.userEmail },
      };
    // Who has been here before is told of answers at once; for all others nothing is asked yet.
    if (client.known || client.identity) this.connect();
    if (options.open !== undefined) this.show(true);
  }

  text(value, fallback) {
    if (!value) return fallback;
    const tag = this.language.toLowerCase();
    const fits = Object.keys(value).find((key) => tag === key.toLowerCase()) ??
      Object.keys(value).find((key) => tag.split("-")[0] === key.toLowerCase().split("-")[0]);
    return value[fits] ?? value.en ?? Object.values(value)[0] ?? fallback;
  }

  connect() {
    this.connecting ??= this.reach();
    return this.connecting;
  }

  async reach() {
    try {
      this.settings = await this.client.settings();
      this.dress();
      await this.client.open();
      this.ready = true;
      this.trouble = null;
    } catch (error) {
      this.trouble = error instanceof Refused && error.code === "identity_required" ? "identity" : "unavailable";
      this.connecting = null;
      if (this.trouble === "unavailable") setTimeout(() => this.panelOpen && this.connect(), 4000 + Math.random() * 4000);
    }
    this.update();
  }

  async identify(who) {
    this.connecting = null;
    this.client.identity = who.jwt ? { jwt: who.jwt } : { identity: who };
    await this.connect();
  }

  // ---- the frame ----

  draw() {
    const words = this.words;
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [sheet];
    const dir = RTL.test(this.language) ? "rtl" : "ltr";
    this.dir = dir;
    this.lang = this.language;
    this.badge = h("span.badge", { hidden: true, "aria-hidden": "true" });
    this.launch = h("button.launch", {
      type: "button", onclick: () => this.show(!this.panelOpen), "aria-expanded": "false", "aria-label": words.launch,
    }, icon("chat"), this.badge);
    this.heading = h("h2", { id: "title" }, words.title);
    this.status = h("p");
    this.log = h("div.log", { role: "log", "aria-live": "polite", "aria-label": words.log, tabIndex: 0 });
    this.bar = h("div.bar", { role: "status", hidden: true });
    this.bottom = this.composer();
    this.body = h("div", { style: "display:contents" });
    this.spoken = h("div.sr", { "aria-live": "polite" });
    this.panel = h("section.panel", {
      role: "dialog", "aria-modal": "false", "aria-labelledby": "title", hidden: true, id: "panel",
      onkeydown: (event) => this.keys(event),
      ondragover: (event) => this.drag(event), ondragleave: () => this.drag(null), ondrop: (event) => this.dropped(event),
    },
      h("header", {}, h("span.face", {}, icon("chat")), h("div.words", {}, this.heading, this.status),
        h("button.icon", { type: "button", "aria-label": words.close, title: words.close, onclick: () => this.show(false) }, icon("down"))),
      this.body);
    this.launch.setAttribute("aria-controls", "panel");
    root.append(h("div", { dir }, this.panel, this.launch, this.spoken));
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", () => this.dress());
    this.dress();
    this.page("talk");
  }

  // What the settings say about looks.
  dress() {
    const wanted = this.options.scheme || this.settings.scheme || "auto";
    this.dataset.scheme = wanted === "auto" ? (this.scheme.matches ? "dark" : "light") : wanted;
    this.dataset.position = this.options.position || this.settings.position || "end";
    const { accent } = this.settings;
    if (accent && CSS.supports("color", accent)) {
      const root = this.shadowRoot.firstElementChild;
      root.style.setProperty("--accent", `var(--tributary-accent,${accent})`);
      root.style.setProperty("--on", `var(--tributary-on-accent,${onColour(accent)})`);
    }
    this.heading.textContent = this.text(this.settings.title, this.words.title);
    const away = this.settings.open === false;
    this.status.replaceChildren(
      h(`span.dot${away ? ".away" : ""}`),
      away ? this.words.away : this.text(this.settings.subtitle, this.words.subtitle));
  }

  show(open) {
    if (this.panelOpen === open || !this.panel) return;
    this.panelOpen = open;
    this.panel.hidden = !open;
    this.toggleAttribute("data-open", open);
    this.launch.setAttribute("aria-expanded", String(open));
    this.launch.replaceChild(icon(open ? "down" : "chat"), this.launch.firstElementChild);
    if (open) {
      this.connect().then(() => {
        this.page(this.begins() ? "form" : "talk");
        this.focusIn();
      });
      this.update({ own: true });
      this.focusIn();
    } else this.launch.focus();
    this.markRead();
  }

  focusIn() {
    const first = this.panel.querySelector("form.sheet input, form.sheet select, form.sheet textarea") ?? this.input;
    if (this.panelOpen && (!matchMedia("(pointer: coarse)").matches || first !== this.input)) first.focus({ preventScroll: true });
  }

  keys(event) {
    if (event.key === "Escape" && !event.isComposing) {
      event.stopPropagation();
      this.show(false);
    }
  }

  // Is there something to ask before the first word?
  begins() {
    const { ask = {}, topics = [], urgencies = [], questions = [], open } = this.settings;
    const asks = [ask.name, ask.email, open === false && ask.email_when_closed].some((need) => need && need !== "off");
    return (asks || topics.length || urgencies.length || questions.length) &&
      !this.client.list.length && !this.client.outbox.length;
  }

  page(name) {
    if (this.shown === name) return;
    this.shown = name;
    if (name === "talk") this.body.replaceChildren(this.log, this.bar, this.bottom);
    else {
      const form = new Form(this, name);
      this.body.replaceChildren(form.element);
      form.element.querySelector("input, select, textarea")?.focus();
    }
    this.update();
  }

  composer() {
    const words = this.words;
    this.input = h("textarea", {
      rows: 1, placeholder: words.write, "aria-label": words.write, dir: "auto", enterKeyHint: "send",
      oninput: () => this.typed(), onblur: () => this.client.typing(false),
      onkeydown: (event) => {
        // An input method's Enter chooses a character; it does not send.
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
          event.preventDefault();
          this.send();
        }
      },
      onpaste: (event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (files.length) {
          event.preventDefault();
          this.pick(files);
        }
      },
    });
    this.chooser = h("input", {
      type: "file", multiple: true, hidden: true, tabIndex: -1,
      onchange: () => {
        this.pick([...this.chooser.files]);
        this.chooser.value = "";
      },
    });
    this.clip = h("button.icon", { type: "button", "aria-label": words.attach, title: words.attach, onclick: () => this.chooser.click() }, icon("clip"));
    this.go = h("button.icon.go", { type: "button", "aria-label": words.send, title: words.send, disabled: true, onclick: () => this.send() }, icon("send"));
    this.chips = h("div.chips", { hidden: true });
    this.extra = h("div.extra", { hidden: true },
      h("button", { type: "button", onclick: () => this.page("callback") }, icon("phone"), words.callback));
    return h("div.bottom", {}, this.chips, h("div.write", {}, this.clip, this.chooser, this.input, this.go), this.extra, h("div.foot"));
  }

  typed() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 132)}px`;
    if (this.input.value.trim()) this.client.typing(true);
    this.ableToSend();
  }

  ableToSend() {
    const busy = this.picked.some((one) => !one.done);
    this.go.disabled = busy || (!this.input.value.trim() && !this.picked.length);
  }

  send() {
    this.ableToSend();
    if (this.go.disabled) return;
    const text = this.input.value.trim();
    const limit = this.settings.text_chars_max ?? 10000;
    if ([...text].length > limit) return this.say(this.words.tooLong(limit));
    this.client.say({ text, files: this.picked.map((one) => one.done), ...this.firstWords() });
    this.input.value = "";
    this.picked = [];
    this.client.typing(false);
    this.drawChips();
    this.typed();
    this.input.focus();
  }

  // The page goes with the first message only.
  firstWords() {
    return this.client.list.length || this.client.outbox.length ? {} : { page: location.href };
  }

  // ---- files ----

  pick(files) {
    const { bytes_max: bytesMax = 10485760, count_max: countMax = 5 } = this.settings.files ?? {};
    for (const file of files) {
      if (this.picked.length >= countMax) return this.say(this.words.tooMany(countMax));
      if (file.size > bytesMax) {
        this.say(this.words.tooLarge(file.name, size(bytesMax, this.language)));
        continue;
      }
      const one = { name: file.name, part: 0 };
      this.picked.push(one);
      this.client.upload(file, (part) => {
        one.part = part;
        if (one.bar) one.bar.value = part;
      }).then((done) => {
        one.done = done;
      }).catch((error) => {
        this.picked = this.picked.filter((other) => other !== one);
        this.say((error.code === "file_type" ? this.words.badType : this.words.uploadFailed)(file.name));
      }).finally(() => this.drawChips());
    }
    this.drawChips();
  }

  drawChips() {
    this.chips.hidden = !this.picked.length;
    this.chips.replaceChildren(...this.picked.map((one) => {
      one.bar = one.done ? null : h("progress", { max: 1, value: one.part });
      return h("div.chip", {}, h("span", {}, one.name),
        h("button", {
          type: "button", "aria-label": this.words.remove(one.name),
          onclick: () => {
            this.picked = this.picked.filter((other) => other !== one);
            this.drawChips();
          },
        }, icon("cross")), one.bar);
    }));
    this.ableToSend();
  }

  drag(event) {
    const has = event && [...event.dataTransfer.types].includes("Files") && this.shown === "talk";
    if (has) event.preventDefault();
    if (has && !this.zone) this.panel.append((this.zone = h("div.drop", {}, this.words.drop)));
    else if (!has && this.zone) {
      this.zone.remove();
      this.zone = null;
    }
  }

  dropped(event) {
    event.preventDefault();
    this.drag(null);
    if (this.shown === "talk") this.pick([...event.dataTransfer.files]);
  }

  // ---- what is shown ----

  say(text) {
    this.notice = text;
    clearTimeout(this.noticeEnds);
    this.noticeEnds = setTimeout(() => {
      this.notice = null;
      this.drawBar();
    }, 6000);
    this.drawBar();
  }

  drawBar() {
    const { words, client } = this;
    const offline = this.ready && (!client.online || !navigator.onLine);
    const text = this.notice ?? (this.trouble ? words[this.trouble] : offline ? words.offline : null);
    this.bar.hidden = !text;
    this.bar.classList.toggle("bad", Boolean(this.notice || this.trouble));
    if (this.bar.textContent !== (text ?? "")) this.bar.textContent = text ?? "";
  }

  incoming(message) {
    if (this.panelOpen && !document.hidden) {
      this.markRead();
      return;
    }
    this.client.arrived(message.cursor);
    this.spoken.textContent = `${this.words.newMessage}: ${message.text}`;
  }

  markRead() {
    if (!this.panelOpen || document.hidden || this.shown !== "talk") return;
    const last = this.client.list.findLast((one) => one.direction === "out");
    if (last) this.client.read(last.cursor);
  }

  update(how = {}) {
    if (!this.log) return;
    const unread = this.panelOpen ? 0 : this.client.unread;
    this.badge.hidden = !unread;
    this.badge.textContent = unread > 99 ? "99+" : String(unread);
    this.launch.setAttribute("aria-label", this.panelOpen ? this.words.close : unread ? this.words.launchUnread(unread) : this.words.launch);
    this.extra.hidden = !this.settings.callback;
    this.clip.hidden = this.settings.files?.count_max === 0;
    this.drawBar();
    if (!this.panelOpen) return;
    if (this.shown === "form" && !this.begins()) this.page("talk");
    const { log } = this;
    const low = log.scrollHeight - log.scrollTop - log.clientHeight < 90;
    const height = log.scrollHeight;
    this.drawLog();
    if (how?.own || low) log.scrollTop = log.scrollHeight;
    else if (how?.earlier) log.scrollTop += log.scrollHeight - height;
    this.markRead();
  }

  // Elements of messages that did not change stay: nothing is read aloud twice, nothing flickers.
  drawLog() {
    const { client, words } = this;
    this.drawn ??= new Map();
    const next = new Map();
    const keep = (key, content, make) => {
      const known = this.drawn.get(key);
      const same = known && known.content === content;
      const element = same ? known.element : make();
      next.set(key, { content, element });
    };
    if (client.earlier) {
      keep("earlier", client.earlier, () => h("button.more", { type: "button", onclick: () => client.showEarlier() }, words.earlier));
    } else {
      const greeting = this.text(this.settings.greeting, words.greeting);
      keep("greeting", greeting, () => h("div.msg.first", {}, h("div.bubble", {}, ...linked(greeting))));
    }
    let day = "";
    let before = "greeting";
    const list = client.list;
    const waiting = client.outbox.filter((one) => (one.path ?? "messages") === "messages" || one.path === "callback");
    const lastOwn = list.findLast((one) => one.direction === "in");
    for (const one of [...list, ...waiting]) {
      const date = new Date(one.sent_at);
      const today = date.toDateString();
      if (today !== day) {
        day = today;
        keep(`day ${today}`, this.dayName(date), () => h("div.day", {}, this.dayName(date)));
        before = "";
      }
      const own = one.direction !== "out";
      const who = own ? "own" : `out ${one.author?.name ?? ""}`;
      if (!own && who !== before && one.author?.name) {
        keep(`who ${one.id}`, who, () => h("div.who", {}, one.author.name));
      }
      const note = own ? this.noteOf(one, one === lastOwn && !waiting.length) : null;
      keep(one.client_id ?? one.id, JSON.stringify([one, note, who !== before]), () => this.bubble(one, own, who !== before, note));
      if (one.choices?.length && one === list.at(-1) && !waiting.length && !one.deleted) {
        keep(`choices ${one.id}`, "", () => h("div.choices", { role: "group", "aria-label": words.choose }, ...one.choices.map(({ label }) =>
          h("button", { type: "button", dir: "auto", onclick: () => client.say({ text: label, files: [] }) }, label))));
      }
      before = who;
    }
    if (client.state.agent_typing) {
      const name = client.state.agent_name ?? words.desk;
      keep("typing", name, () => h("div.typing", { "aria-label": words.typing(name) }, h("i", { "aria-hidden": "true" }, h("b"), h("b"), h("b")), h("span", { "aria-hidden": "true" }, words.typing(name))));
    }
    this.drawRating(keep, list.at(-1)?.cursor);
    this.drawn = next;
    let at = this.log.firstChild;
    for (const { element } of next.values()) {
      if (element === at) at = at.nextSibling;
      else this.log.insertBefore(element, at);
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  dayName(date) {
    const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
    if (days === 0) return this.words.today;
    if (days === 1) return this.words.yesterday;
    return new Intl.DateTimeFormat(this.language, { dateStyle: "medium" }).format(date);
  }

  noteOf(one, last) {
    const { words, client } = this;
    if (one.failed) return "failed";
    if (one.id === undefined) return "sending";
    if (!last) return null;
    const answered = client.list.at(-1)?.direction === "out";
    return answered ? null : Number(client.state.agent_read) >= Number(one.cursor) ? "seen" : "sent";
  }

  bubble(one, own, first, note) {
    const { words } = this;
    const parts = [];
    const text = one.path === "callback" ? `${words.callback}: ${one.phone}` : one.text;
    if (one.deleted) parts.push(h("div.bubble.gone", {}, words.deleted));
    else if (text) {
      const time = new Intl.DateTimeFormat(this.language, { hour: "numeric", minute: "2-digit" }).format(new Date(one.sent_at));
      parts.push(h("div.bubble", { dir: "auto", title: time }, h("span.sr", {}, `${own ? words.you : one.author?.name ?? words.desk}, ${time}: `), ...linked(text)));
    }
    const files = one.attachments ?? one.files ?? [];
    if (files.length && !one.deleted) parts.push(h("div.files", {}, ...files.map((file) => this.fileOf(file, Boolean(one.id)))));
    if (note === "failed") {
      parts.push(h("div.note.bad", {}, words.failed,
        h("button", { type: "button", onclick: () => this.client.again(one.client_id) }, words.retry),
        h("button", { type: "button", onclick: () => this.client.discard(one.client_id) }, words.discard)));
    } else if (note) parts.push(h("div.note", {}, words[note]));
    const classes = ["msg", own && "own", first && "first", own && one.id === undefined && "waiting"];
    return h(`div.${classes.filter(Boolean).join(".")}`, {}, ...parts);
  }

  fileOf(file, stored) {
    const label = [h("span", {}, file.name), h("small", {}, size(file.size, this.language))];
    if (!stored) return h("div.file", {}, icon("file"), ...label);
    const save = h("button.file", { type: "button", onclick: () => this.save(file) }, icon("file"), ...label);
    if (!PICTURES.test(file.media_type) || file.size > 5242880) return save;
    const picture = h("img", { alt: file.name });
    const shown = h("button.picture", { type: "button", title: file.name, onclick: () => this.save(file) }, picture);
    const low = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 90;
    picture.onload = () => {
      if (low) this.log.scrollTop = this.log.scrollHeight;
    };
    picture.onerror = () => shown.replaceWith(save);
    this.blobOf(file).then((url) => (picture.src = url)).catch(() => shown.replaceWith(save));
    return shown;
  }

  blobOf(file) {
    if (!this.pictures.has(file.id)) {
      this.pictures.set(file.id, this.client.file(file.id).then((blob) => URL.createObjectURL(blob)));
    }
    return this.pictures.get(file.id);
  }

  async save(file) {
    try {
      const url = await this.blobOf(file);
      h("a", { href: url, download: file.name, rel: "noopener" }).click();
    } catch {
      this.pictures.delete(file.id);
      this.say(this.words.unavailable);
    }
  }

  // Asked once, when a conversation has come to its end.
  drawRating(keep, cursor) {
    const { client, words } = this;
    if (!this.settings.rating || client.state.conversation !== "solved" || !cursor) return;
    const done = client.shelf.get("rated") === cursor;
    if (done && !this.justRated) return;
    keep("rate", `${cursor} ${done}`, () => {
      if (done) return h("div.rate", { role: "status" }, h("p", {}, words.rated));
      let score = 0;
      const comment = h("textarea", { rows: 2, placeholder: words.rateComment, "aria-label": words.rateComment, hidden: true, maxLength: 2000 });
      const send = h("button.main", {
        type: "button", hidden: true,
        onclick: () => {
          this.justRated = true;
          client.shelf.set("rated", cursor);
          client.say({ path: "rating", score, comment: comment.value });
        },
      }, words.rateSend);
      const stars = [1, 2, 3, 4, 5].map((n) => h("button", {
        type: "button", "aria-label": words.rateStar(n), "aria-pressed": "false",
        onclick: () => {
          score = n;
          stars.forEach((star, at) => {
            star.classList.toggle("on", at < n);
            star.setAttribute("aria-pressed", String(at + 1 === n));
          });
          comment.hidden = send.hidden = false;
          this.log.scrollTop = this.log.scrollHeight;
        },
      }, icon("star")));
      return h("div.rate", {}, h("p", {}, words.rate), h("div.stars", { role: "group", "aria-label": words.rate }, ...stars), comment, send);
    });
  }
}

if (!customElements.get("tributary-chat")) customElements.define("tributary-chat", Chat);

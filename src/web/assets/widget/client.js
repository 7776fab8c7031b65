// Talks to the server: session, messages, files, stream. Knows nothing of the page.
//
// Whatever is written lies in the browser's storage under an id of its own until the server has it; the
// same id again is the same message there, so it can be sent again after anything.

const BACKOFF_MAX = 30000;

export const newId = () =>
  crypto.randomUUID?.() ??
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

export class Refused extends Error {
  constructor(status, code, detail, after) {
    super(detail || code);
    Object.assign(this, { status, code, after });
  }
}

// The page's storage, or memory where the browser allows none.
class Shelf {
  constructor(prefix) {
    this.prefix = prefix;
    this.memory = new Map();
  }
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(this.prefix + name));
    } catch {
      return this.memory.get(name) ?? null;
    }
  }
  set(name, value) {
    this.memory.set(name, value);
    try {
      if (value === null) localStorage.removeItem(this.prefix + name);
      else localStorage.setItem(this.prefix + name, JSON.stringify(value));
    } catch {
      /* memory has it */
    }
  }
}

export class Client extends EventTarget {
  constructor(base, channel, language) {
    super();
    Object.assign(this, { base, channel, language });
    this.url = `${base}/chat/${channel}`;
    this.shelf = new Shelf(`tributary:${base}:${channel}:`);
    this.messages = new Map();
    this.state = { conversation: "none", agent_typing: false, agent_read: "0", read: "0" };
    this.cursor = null;
    this.earlier = null;
    this.online = true;
    this.failures = 0;
    this.attempt = 0;
    this.identity = null;
    this.uploads = new Set();
    addEventListener("storage", (event) => this.otherTab(event));
    addEventListener("online", () => this.hurry());
    addEventListener("pageshow", (event) => event.persisted && this.hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.hurry();
    });
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // ---- session ----

  get session() {
    return this.shelf.get("session");
  }

  get known() {
    return Boolean(this.session);
  }

  async begin(fresh = false) {
    const old = fresh ? null : this.session;
    if (old && !this.identity && Date.parse(old.expires_at) - Date.now() > 7 * 86400000) return old;
    const knock = { language: this.language, ...(this.identity ?? {}) };
    if (old && Date.parse(old.expires_at) > Date.now() && !this.identity) knock.token = old.token;
    const answer = await this.plain("session", { method: "POST", body: JSON.stringify(knock) });
    const before = this.session;
    this.identity = null;
    this.shelf.set("session", answer);
    if (before && before.visitor !== answer.visitor) this.forget();
    return answer;
  }

  // Another person now: what was here is not theirs.
  forget() {
    this.messages.clear();
    this.shelf.set("outbox", null);
    this.cursor = null;
    this.earlier = null;
    this.state = { conversation: "none", agent_typing: false, agent_read: "0", read: "0" };
    this.hangUp();
    this.tell("change");
  }

  async identify(who) {
    this.identity = who.jwt ? { jwt: who.jwt } : { identity: who };
    await this.begin();
    await this.open();
  }

  async signOut() {
    if (this.known) await this.call("session", { method: "DELETE" }).catch(() => {});
    this.shelf.set("session", null);
    this.forget();
  }

  // ---- requests ----

  async plain(path, options = {}, token) {
    const headers = { ...(options.headers ?? {}) };
    if (typeof options.body === "string") headers["content-type"] = "application/json";
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = await fetch(`${this.url}/${path}`, {
      ...options,
      headers,
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "strict-origin",
    });
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      const after = Number(answer.headers.get("retry-after")) || 0;
      throw new Refused(answer.status, problem.code ?? "error", problem.detail, after);
    }
    return options.whole ? answer : answer.status === 204 ? null : answer.json();
  }

  // With the visitor's token. One that is over is replaced once.
  async call(path, options) {
    const { token } = await this.begin();
    try {
      return await this.plain(path, options, token);
    } catch (error) {
      if (error.status !== 401) throw error;
      if (this.session?.token === token) {
        this.shelf.set("session", null);
        this.forget();
      }
      return this.plain(path, options, (await this.begin(!this.known)).token);
    }
  }

  settings() {
    return this.plain("settings");
  }

  // ---- what was said ----

  async open() {
    const page = await this.call("messages?before=latest&limit=50");
    for (const message of page.items) this.put(message);
    this.earlier = page.earlier;
    this.cursor ??= page.cursor;
    this.state = page.state;
    this.tell("change");
    this.follow();
    this.flush();
  }

  async showEarlier() {
    if (!this.earlier) return;
    const page = await this.call(`messages?before=${encodeURIComponent(this.earlier)}&limit=50`);
    for (const message of page.items) this.put(message);
    this.earlier = page.earlier;
    this.tell("change", { earlier: true });
  }

  put(message) {
    this.messages.set(message.id, message);
    if (message.client_id) this.drop(message.client_id);
  }

  get list() {
    return [...this.messages.values()].sort((a, b) => Number(a.cursor ?? Infinity) - Number(b.cursor ?? Infinity));
  }

  get unread() {
    const read = Number(this.state.read);
    return this.list.filter((one) => one.direction === "out" && Number(one.cursor) > read).length;
  }

  // ---- what is to be said ----

  get outbox() {
    return this.shelf.get("outbox") ?? [];
  }

  drop(id) {
    const left = this.outbox.filter((one) => one.client_id !== id);
    this.shelf.set("outbox", left.length ? left : null);
  }

  mark(id, change) {
    this.shelf.set("outbox", this.outbox.map((one) => (one.client_id === id ? { ...one, ...change } : one)));
  }

  say(message) {
    const one = { ...message, client_id: newId(), sent_at: new Date().toISOString() };
    this.shelf.set("outbox", [...this.outbox, one]);
    this.tell("change", { own: true });
    this.flush();
  }

  again(id) {
    this.mark(id, { failed: null });
    this.tell("change");
    this.flush();
  }

  discard(id) {
    this.drop(id);
    this.tell("change");
  }

  // One tab at a time sends, in order; where that cannot be arranged, the ids keep doubles away.
  async flush() {
    if (this.flushing) {
      this.flushAgain = true;
      return;
    }
    this.flushing = true;
    try {
      const work = () => this.flushAll();
      if (navigator.locks) await navigator.locks.request(`${this.shelf.prefix}outbox`, work);
      else await work();
    } finally {
      this.flushing = false;
    }
    if (this.flushAgain) {
      this.flushAgain = false;
      this.flush();
    }
  }

  async flushAll() {
    for (;;) {
      const next = this.outbox.find((one) => !one.failed);
      if (!next) return;
      const { sent_at, failed, files, path, ...wire } = next;
      try {
        const body = JSON.stringify({ ...wire, ...(files?.length ? { attachments: files.map((file) => file.id) } : {}) });
        const message = await this.call(path ?? "messages", { method: "POST", body });
        this.drop(next.client_id);
        if (message.text !== undefined && path !== "rating") this.put(message);
        this.alive(true);
        this.tell("change", { own: true });
        if (!this.following) this.follow();
      } catch (error) {
        if (error.status === 429) {
          this.tell("slow");
          await this.sleep(Math.min(error.after || 3, 60) * 1000);
        } else if (error.status >= 400 && error.status < 500) {
          this.mark(next.client_id, { failed: error.code });
          this.tell("change");
        } else {
          this.alive(false);
          await this.sleep(this.wait());
        }
      }
    }
  }

  wait() {
    this.failures += 1;
    const full = Math.min(1000 * 2 ** (this.failures - 1), BACKOFF_MAX);
    return full * (0.4 + Math.random() * 0.6);
  }

  // Can be cut short by `hurry`.
  sleep(time) {
    return new Promise((done) => {
      const timer = setTimeout(done, time);
      this.wakers ??= new Set();
      this.wakers.add(() => {
        clearTimeout(timer);
        done();
      });
    });
  }

  hurry() {
    for (const wake of this.wakers ?? []) wake();
    this.wakers?.clear();
    if (this.outbox.length) this.flush();
    if (this.known && this.cursor !== null && !this.following) this.follow();
  }

  alive(online) {
    if (online) this.failures = 0;
    if (this.online !== online) {
      this.online = online;
      this.tell("online");
    }
  }

  upload(file, progress) {
    // Not fetch: only this tells how far it is.
    return this.begin().then(
      ({ token }) =>
        new Promise((done, fail) => {
          const form = new FormData();
          form.append("file", file, file.name);
          const request = new XMLHttpRequest();
          request.open("POST", `${this.url}/uploads`);
          request.setRequestHeader("authorization", `Bearer ${token}`);
          request.responseType = "json";
          request.upload.onprogress = (event) => progress(event.loaded / (event.total || 1));
          request.onload = () =>
            request.status === 201
              ? done(request.response)
              : fail(new Refused(request.status, request.response?.code ?? "error"));
          request.onerror = () => fail(new Refused(0, "network"));
          request.send(form);
        }),
    );
  }

  async file(id) {
    const answer = await this.call(`attachments/${id}`, { whole: true });
    return answer.blob();
  }

  // ---- signals ----

  typing(now) {
    const at = Date.now();
    if (!this.known || (now && at - (this.typedAt ?? 0) < 3000)) return;
    this.typedAt = now ? at : 0;
    this.signal("typing", { typing: now });
  }

  read(cursor) {
    if (!this.known || Number(cursor) <= Number(this.state.read)) return;
    this.state = { ...this.state, read: cursor };
    this.signal("read", { up_to: cursor });
    this.tell("change");
  }

  arrived(cursor) {
    this.signal("read", { up_to: cursor, state: "delivered" });
  }

  signal(type, body) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify({ type, ...body }));
    else this.call(type, { method: "POST", body: JSON.stringify(body) }).catch(() => {});
  }

  // ---- stream ----

  // Follows the conversation until `hangUp`: by socket, or, where that does not work, by events.
  async follow() {
    if (this.following) return;
    const line = (this.following = { open: true });
    while (line.open) {
      const before = this.attempt;
      try {
        if (this.attempt >= 2 && this.attempt % 4 !== 3) await this.events(line);
        else await this.sockets(line);
      } catch (error) {
        if (error.status === 401) {
          line.open = false;
          break;
        }
      }
      if (!line.open) break;
      // Worked and was cut: on as before, at once the first time. Did not work: another way, later.
      if (this.attempt === before) this.attempt += 1;
      this.alive(false);
      await this.sleep(this.wait());
    }
    if (this.following === line) this.following = null;
  }

  hangUp() {
    if (this.following) this.following.open = false;
    this.following = null;
    this.socket?.close();
    this.socket = null;
    this.stream?.abort();
  }

  async sockets(line) {
    const { token } = await this.begin();
    await new Promise((done) => {
      const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/socket`);
      const slow = setTimeout(() => socket.close(), 8000);
      // A line that is dead without having been closed shows by its silence.
      let heard = Date.now();
      const pulse = setInterval(() => {
        if (Date.now() - heard > 45000) socket.close();
        else if (socket.readyState === 1) socket.send('{"type":"ping"}');
      }, 20000);
      socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token, after: this.cursor }));
      socket.onmessage = (event) => {
        heard = Date.now();
        if (!line.open) return socket.close();
        const frame = JSON.parse(event.data);
        if (frame.type === "welcome") {
          clearTimeout(slow);
          this.socket = socket;
          this.attempt = 0;
          this.alive(true);
          if (this.outbox.length) this.hurry();
        } else if (frame.type === "message") this.heard(frame.message);
        else if (frame.type === "state") this.stands(frame.state);
        else if (frame.type === "error" && /token|identity/.test(frame.code)) this.renew();
      };
      socket.onclose = () => {
        clearTimeout(slow);
        clearInterval(pulse);
        if (this.socket === socket) this.socket = null;
        done();
      };
    });
  }

  renew() {
    this.shelf.set("session", null);
    this.forget();
  }

  async events(line) {
    this.stream = new AbortController();
    const path = `events?after=${encodeURIComponent(this.cursor)}`;
    const answer = await this.call(path, { whole: true, signal: this.stream.signal });
    this.alive(true);
    if (this.outbox.length) this.hurry();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let left = "";
    while (line.open) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (left + value).split("\n\n");
      left = blocks.pop();
      for (const block of blocks) {
        const field = (name) => block.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
        const data = field("data");
        if (!data) continue;
        if (field("event") === "message") this.heard(JSON.parse(data));
        else this.stands(JSON.parse(data));
      }
    }
    reader.cancel();
  }

  heard(message) {
    const known = this.messages.has(message.id);
    this.put(message);
    this.cursor = String(Math.max(Number(this.cursor), Number(message.cursor)));
    if (!known && message.direction === "out") {
      this.state = { ...this.state, agent_typing: false };
      this.tell("incoming", message);
    }
    this.tell("change", { own: message.direction === "in" });
  }

  stands(state) {
    const read = String(Math.max(Number(state.read), Number(this.state.read)));
    this.state = { ...state, read };
    clearTimeout(this.quiet);
    if (state.agent_typing) this.quiet = setTimeout(() => this.stands({ ...this.state, agent_typing: false }), 8000);
    this.tell("change", { state: true });
  }

  // ---- other tabs ----

  otherTab(event) {
    if (event.key === `${this.shelf.prefix}session`) {
      const before = event.oldValue && JSON.parse(event.oldValue)?.visitor;
      const now = this.session?.visitor;
      if (before !== now) {
        this.messages.clear();
        this.cursor = null;
        this.hangUp();
        if (now) this.open().catch(() => {});
        else this.tell("change");
      }
    } else if (event.key === `${this.shelf.prefix}outbox`) this.tell("change");
  }
}

// The HTTP API, with the session cookie. Whoever is not signed in any more is sent to the sign-in page.

const PREFIX = "/api/v1";

/** An answer that is none: `status`, `code` and a text for people. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
  }
}

async function call(method, path, { body, key, version, form, keepalive } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  const response = await fetch(PREFIX + path, {
    method,
    headers,
    body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
    credentials: "same-origin",
    keepalive,
  });
  if (response.status === 401) {
    location.assign("/console/sign-in");
    throw new Problem(401, null);
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = { detail: text.slice(0, 200) };
  }
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/** `?status=open&…` of what is set. */
export function query(values) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, value);
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

export const api = {
  me: () => call("GET", "/me"),
  users: () => call("GET", "/users"),
  tickets: (filter) => call("GET", `/tickets${query(filter)}`),
  ticket: (name) => call("GET", `/tickets/${encodeURIComponent(name)}`),
  counts: (queries) => call("POST", "/tickets/counts", { body: { queries } }),
  draft: (ticket) => call("GET", `/tickets/${ticket}/draft`),
  keepDraft: (ticket, draft, last) => call("PUT", `/tickets/${ticket}/draft`, { body: draft, keepalive: Boolean(last) }),
  seen: (ticket) => call("POST", `/tickets/${ticket}/seen`),
  views: () => call("GET", "/views"),
  saveView: (name, query) => call("POST", "/views", { body: { name, query } }),
  forgetView: (id) => call("DELETE", `/views/${id}`),
  messages: (ticket, cursor) => call("GET", `/tickets/${ticket}/messages${query({ limit: 200, cursor })}`),
  suggestions: (ticket) => call("GET", `/tickets/${ticket}/suggestions`),
  trail: (ticket, cursor) => call("GET", `/tickets/${ticket}/events${query({ limit: 200, cursor })}`),
  change: (ticket, version, patch) => call("PATCH", `/tickets/${ticket}`, { body: patch, version }),
  write: (ticket, message, key, version) =>
    call("POST", `/tickets/${ticket}/messages`, { body: message, key, version }),
  stats: (filter) => call("GET", `/stats${query(filter)}`),
  signature: (ticket, via) => call("GET", `/tickets/${ticket}/signature${query({ via })}`),
  customer: (ticket) => call("GET", `/tickets/${ticket}/customer`),
  setCustomer: (ticket, customer) => call("POST", `/tickets/${ticket}/customer`, { body: customer, key: wish() }),
  dismissCustomer: (ticket) => call("DELETE", `/tickets/${ticket}/customer/suggested`),
  restoreCustomer: (ticket) => call("DELETE", `/tickets/${ticket}/customer`),
  proofs: (ticket) => call("GET", `/tickets/${ticket}/proofs`),
  prove: (ticket, address, key) => call("POST", `/tickets/${ticket}/proofs`, { body: { address }, key }),
  live: (ticket) => call("GET", `/tickets/${ticket}/live`),
  typing: (ticket) => call("POST", `/tickets/${ticket}/typing`),
  macros: () => call("GET", "/macros"),
  addMacro: (what) => call("POST", "/macros", { body: what }),
  changeMacro: (id, version, what) => call("PATCH", `/macros/${id}`, { body: what, version }),
  forgetMacro: (id) => call("DELETE", `/macros/${id}`),
  useMacro: (ticket, macro, how, key, version) => call("POST", `/tickets/${ticket}/macros/${encodeURIComponent(macro)}`, { body: how, key, version }),
  merged: (noun, id) => call("GET", `/${noun}/${id}/merged`),
  unmerge: (noun, id) => call("POST", `/${noun}/${id}/unmerge`, { key: wish() }),
  joinContact: (contact, into) => call("POST", `/contacts/${contact}/merge`, { body: { into }, key: wish() }),
  contacts: (filter) => call("GET", `/contacts${query(filter)}`),
  similar: (contact) => call("GET", `/contacts/${contact}/similar`),
  merge: (ticket, into) => call("POST", `/tickets/${ticket}/merge`, { body: { into }, key: wish() }),
  upload: (file, key) => {
    const form = new FormData();
    form.set("file", file);
    return call("POST", "/uploads", { form, key });
  },
  channels: () => call("GET", "/channels"),
  pause: (name) => call("POST", `/channels/${name}/pause`),
  resume: (name) => call("POST", `/channels/${name}/resume`),
  checkChannel: (name) => call("POST", `/channels/${name}/check`),
  outbox: (filter) => call("GET", `/outbox${query(filter ?? {})}`),
  delivery: (id, action) => call("POST", `/outbox/${id}/${action}`),
  callbacks: (filter) => call("GET", `/callbacks${query({ limit: 100, ...filter })}`),
  callback: (id, action, version, body) => call("POST", `/callbacks/${id}/${action}`, { body, version, key: wish() }),
  quarantine: () => call("GET", "/quarantine"),
  retryRaw: (id) => call("POST", `/quarantine/${id}/retry`),
  dropRaw: (id) => call("DELETE", `/quarantine/${id}`),
  told: () => call("GET", "/me/notifications"),
  keepTold: (told) => call("PUT", "/me/notifications", { body: told }),
  addUser: (user) => call("POST", "/users", { body: user }),
  changeUser: (id, patch) => call("PATCH", `/users/${id}`, { body: patch }),
  disableUser: (id) => call("POST", `/users/${id}/disable`),
  signInLink: (id) => call("POST", `/users/${id}/sign-in-link`),
  resetFactor: (id) => call("DELETE", `/users/${id}/second-factor`),
  beginFactor: () => call("POST", "/me/second-factor"),
  confirmFactor: (code) => call("POST", "/me/second-factor/confirm", { body: { code } }),
  removeFactor: (code) => call("POST", "/me/second-factor/remove", { body: { code } }),
  tokens: () => call("GET", "/tokens"),
  createToken: (token) => call("POST", "/tokens", { body: token }),
  revokeToken: (id) => call("DELETE", `/tokens/${id}`),
  sessions: () => call("GET", "/sessions"),
  revokeSession: (id) => call("DELETE", `/sessions/${id}`),
  audit: (filter) => call("GET", `/audit${query({ limit: 100, ...filter })}`),
  unseal: (id, reason) => call("POST", `/messages/${id}/unseal`, { body: { reason } }),
  board: (filter) => call("GET", `/stats/board${query(filter)}`),
  faq: (filter) => call("GET", `/faq${query(filter)}`),
  contact: (id) => call("GET", `/contacts/${id}`),
  changeContact: (id, version, patch) => call("PATCH", `/contacts/${id}`, { body: patch, version }),
  ticketWords: () => call("GET", "/tickets/words"),
};

/** Where an attachment is. */
export const attachment = (id) => `${PREFIX}/attachments/${id}`;
/** Where a message is as its sender formatted it, for a frame. */
export const formatted = (id, pictures) => `${PREFIX}/messages/${id}/page${pictures ? "?pictures=true" : ""}`;
/** Where a message is as it came. */
export const raw = (id) => `${PREFIX}/messages/${id}/raw`;

const KINDS = [
  "ticket.created", "ticket.updated", "ticket.handed_on", "ticket.customer_changed", "ticket.customer_dismissed", "ticket.customer_restored", "message.created", "message.edited", "message.deleted", "message.extended",
  "message.reaction", "message.unsealed", "ticket.moved", "ticket.auto_closed", "rule.fired",
  "contact.standing", "contact.updated", "contact.erased", "contact.link_made", "contact.proof_sent", "contact.proven", "contact.proof_failed", "faq.answered", "faq.helped", "faq.escalated",
  "message.arrived_again", "attachment.updated", "delivery.updated", "ticket.deleted", "ticket.merged",
  "ticket.absorbed", "ticket.unmerged", "ticket.released", "ticket.split", "ticket.rated", "quarantine.added", "quarantine.retried",
  "quarantine.dropped", "channel.paused", "channel.resumed", "channel.troubled", "channel.recovered",
  "callback.requested", "callback.due", "callback.updated", "callback.refused",
  "person.mentioned", "contact.merged", "contact.unmerged", "ticket.due_soon", "ticket.overdue",
];

/** Calls for everything that happens; the browser connects again by itself and misses nothing. */
export function follow(listener, state) {
  const stream = new EventSource(`${PREFIX}/events`);
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      let happened = {};
      try {
        happened = JSON.parse(event.data);
      } catch {
        return;
      }
      listener(kind, happened);
    });
  }
  stream.addEventListener("open", () => state(true));
  stream.addEventListener("error", () => state(false));
}

/** A key under which the same wish is done once, however often it is sent. */
export const wish = () => crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint8Array(16)),
  (byte) => byte.toString(16).padStart(2, "0")).join("");

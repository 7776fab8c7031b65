// The shell: navigation, the list, what is open beside it, keys, live updates.

import { api, follow } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { TicketList, VIEWS, asQuery, firstPage } from "./list.js";
import { languageBox, passTime, say } from "./words.js";

/** Pages beside the list: the module of each, which is loaded when the page is wanted, and what shows it. */
const PAGES = {
  start: ["first", "showFirst"], calls: ["calls", "showCalls"], channels: ["running", "showChannels"], outbox: ["running", "showOutbox"],
  quarantine: ["running", "showQuarantine"], macros: ["macros", "showMacros"], dashboard: ["board", "showBoard"], people: ["people", "showPeople"], notifications: ["notify", "showNotifications"], audit: ["people", "showAudit"],
};
const COUNTED = ["inbox", "mine", "my_teams", "mentions", "unassigned", "urgent", "waiting_us"];
/** What a list can be narrowed by. */
const NARROW = ["status", "priority", "channel", "queue", "tag", "assignee", "waiting"];

const desk = { me: null, people: [], views: [], home: "#/inbox" };
const app = document.getElementById("app");
const counts = new Map();
let list = null;
let page = null;
let turn = 0;
let online = true;
/** What the list shows, or is about to: it stays while a ticket is open beside it. */
let shown = { filter: VIEWS[0].filter, q: "" };

function link(view, words, name) {
  const count = h("span.count");
  counts.set(view, count);
  // Filled in later, by `count`.
  return h("a.nav", { href: `#/${view}`, data: { view } }, h("span", null, words), name ?? count);
}

/** Pages that whoever is signed in may open. */
const pages = () => Object.keys(PAGES).filter((name) => name !== "start" && (name !== "audit" || desk.me.role === "admin"));

function shell() {
  const search = h("input", {
    type: "search", id: "search", placeholder: say("search"), "aria-label": say("search"), autocomplete: "off",
    on: { change: () => { location.hash = search.value.trim() ? `#/all?q=${encodeURIComponent(search.value.trim())}` : "#/inbox"; } },
  });
  const nav = h("nav.side", { "aria-label": say("desk") },
    h("a.brand", { href: "#/inbox" }, h("img", { src: "/console/assets/icon.svg", alt: "", width: 26, height: 26 }), "tributary"),
    h("div.head", null, say("views")),
    VIEWS.map((view) => link(view.name, say(view.name))),
    h("div.own"),
    h("div.head", null, say("desk")),
    pages().map((name) => link(name, say(name))),
    desk.isNew ? link("start", say("first_steps")) : null,
    h("div.foot", null,
      h("span.who", null, desk.me.name),
      languageBox(),
      h("button.link", { type: "button", on: { click: help } }, say("keys")),
      h("form", { method: "post", action: "/console/sign-out" }, h("button.link", null, say("sign_out")))));
  const open = h("button.small.narrow-open", { type: "button", "aria-expanded": "false", "aria-controls": "narrow", on: { click: () => {
    open.setAttribute("aria-expanded", String(open.getAttribute("aria-expanded") !== "true"));
    drawNarrow();
  } } }, say("narrow"));
  const middle = h("section.list", { "aria-label": say("views") }, h("h1.unseen"), h("header.top", null, search, open), h("div.narrow-place"), h("div.rows"));
  const main = h("div.page");
  fill(app, h("div.offline", { role: "status", hidden: true }, say("offline")), h("div.columns", null, nav, h("main", null, middle, main)));
  return { search, open, title: middle.querySelector("h1"), rows: middle.querySelector(".rows"), narrow: middle.querySelector(".narrow-place"), own: nav.querySelector(".own"), main };
}

/** The lists that the agent keeps, below those that everybody has. */
function drawOwn() {
  fill(parts.own, desk.views.length ? h("div.head", null, say("own_views")) : null,
    desk.views.map((view) => h("div.own-view", null, link(`view/${view.id}`, view.name),
      h("button.link", { type: "button", "aria-label": say("forget_view", { name: view.name }), on: { click: async () => {
        if (!confirm(say("forget_sure", { name: view.name }))) return;
        await api.forgetView(view.id).catch((problem) => toast(say("failed", { why: problem.message }), { error: true }));
        await readOwn();
        if (location.hash === `#/view/${view.id}`) location.hash = "#/inbox";
      } } }, "×"))));
}

async function readOwn() {
  desk.views = (await api.views().catch(() => ({ items: [] }))).items;
  drawOwn();
  point();
  count();
}

/** The boxes by which the present list is narrowed, while they are open. */
async function drawNarrow() {
  const { filter, q } = shown;
  if (parts.open.getAttribute("aria-expanded") !== "true") {
    fill(parts.narrow);
    return;
  }
  const words = await api.ticketWords().catch(() => ({ channels: [], queues: [], tags: [] }));
  const { filterBar } = await import("./narrow.js");
  // From what is wanted now, not what was when the boxes were drawn: they may be chosen quickly.
  const find = (name, value) => {
    shown = { ...shown, filter: { ...shown.filter, [name]: value } };
    location.hash = `#/find?${asQuery({ ...shown.filter, q: shown.q, sort: "-updated_at" })}`;
  };
  fill(parts.narrow, filterBar(filter, words, desk.people, find, async () => {
    const name = prompt(say("view_name"))?.trim();
    if (!name) return;
    try {
      const saved = await api.saveView(name, asQuery({ ...filter, q }));
      await readOwn();
      location.hash = `#/view/${saved.id}`;
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
  }));
}

/** The view that an address names, with the words that are looked for. */
function viewOf(name, of, words) {
  const params = new URLSearchParams(words);
  if (name === "find") {
    const filter = Object.fromEntries(NARROW.filter((key) => params.get(key)).map((key) => [key, params.get(key)]));
    return [{ name, filter: { ...filter, sort: "-updated_at" } }, params.get("q") ?? ""];
  }
  const own = name === "view" ? desk.views.find((view) => view.id === of) : null;
  if (own) {
    const { q, ...filter } = Object.fromEntries(new URLSearchParams(own.query));
    return [{ name: own.id, filter: { sort: "-updated_at", ...filter } }, q ?? ""];
  }
  return [VIEWS.find((view) => view.name === name) ?? VIEWS[0], params.get("q") ?? ""];
}

/** Shows in the navigation where we are. */
function point() {
  const here = location.hash.startsWith("#/ticket/") ? desk.home : location.hash;
  const [path] = here.replace(/^#\/?/, "").split("?");
  for (const element of document.querySelectorAll("a.nav")) {
    const current = element.dataset.view === (path || "inbox");
    if (current) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
    // On a phone they stand in one line, which is longer than the screen.
    if (current) element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

let parts = null;

/** Shows something beside the list, unless something else is wanted by the time it is loaded. */
async function beside(module, show) {
  const mine = ++turn;
  page?.close?.();
  page = null;
  try {
    const loaded = await import(`./${module}.js`);
    if (mine === turn) page = show(loaded) ?? null;
  } catch (problem) {
    if (mine === turn) toast(say("failed", { why: problem.message }), { error: true });
  }
}

/** `#/inbox`, `#/all?q=…`, `#/find?tag=…`, `#/view/…`, `#/ticket/12`, `#/channels`. */
function route() {
  const [path, words] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, of] = (path || "inbox").split("/");
  app.dataset.at = name === "ticket" || PAGES[name] ? "page" : "list";
  if (name === "ticket" && of) {
    list.mark(of);
    point();
    return beside("ticket", ({ TicketPage }) => new TicketPage(parts.main, of, desk));
  }
  point();
  if (PAGES[name]) {
    const [module, show] = PAGES[name];
    return beside(module, (loaded) => loaded[show](parts.main, desk));
  }
  const [view, q] = viewOf(name, of, words);
  shown = { filter: view.filter, q };
  desk.home = location.hash || "#/inbox";
  parts.search.value = q;
  parts.title.textContent = VIEWS.includes(view) ? say(view.name) : desk.views.find((own) => own.id === view.name)?.name ?? say("narrow");
  list.show(view, q);
  drawNarrow();
  if (desk.isNew) {
    app.dataset.at = "page";
    return beside("first", ({ showFirst }) => showFirst(parts.main, desk));
  }
  turn += 1;
  page?.close?.();
  page = null;
  fill(parts.main, h("div.blank", null, say("pick")));
}

let waiting = null;

/** Many things happen at once: the list is read again once for all of them. */
function soon() {
  waiting ??= setTimeout(() => {
    waiting = null;
    list.refresh();
    count();
  }, 400);
}

/** How many tickets the lists have, as the daemon counts them. */
async function count() {
  const own = desk.views.map((view) => [`view/${view.id}`, view.query]);
  const wanted = [...COUNTED.map((name) => [name, asQuery(VIEWS.find((known) => known.name === name).filter)]), ...own];
  try {
    const { items } = await api.counts(wanted.map(([, query]) => query));
    wanted.forEach(([name], place) => {
      const { count: number, more } = items[place];
      const element = counts.get(name);
      if (element) element.textContent = more ? `${number}+` : String(number || "");
    });
  } catch {
    // They are counted again with the next thing that happens.
  }
}

function happened(kind, event) {
  desk.notifier?.happened(kind, event);
  if (kind.startsWith("channel.") || kind.startsWith("quarantine.") || kind.startsWith("callback.")) page?.refresh?.();
  if (kind === "callback.updated") import("./calls.js").then(({ tellEnd }) => tellEnd(event.data)).catch(() => {});
  if (!event.ticket_id) return;
  desk.isNew = false;
  if (kind === "person.mentioned" && event.data?.id === desk.me.id) {
    toast(say("named_you", { name: event.actor.name }), { label: say("go_there"), seconds: 15, action: () => { location.hash = `#/ticket/${event.ticket_id}`; } });
  }
  soon();
  page?.happened?.(event);
}

function connected(now) {
  if (now === online) return;
  online = now;
  document.querySelector(".offline").hidden = now;
  if (now) soon();
}

const help = () => import("./palette.js").then(({ showKeys }) => showKeys());
const palette = () => import("./palette.js").then(({ showPalette }) => showPalette(desk, pages(), page));

function key(event) {
  if (document.querySelector("dialog[open]")) return;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    palette();
    return;
  }
  if (event.key === "Escape") {
    if (typing) typing.blur();
    else if (app.dataset.at === "page") location.hash = desk.home;
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const does = {
    j: () => list.move(1), k: () => list.move(-1), "?": help,
    "/": () => parts.search.focus(), x: () => list.toggle(),
    r: () => page?.compose?.("reply"), n: () => page?.compose?.("note"), e: () => page?.solve?.(),
  }[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
}

async function start() {
  const none = { items: [] };
  const early = ["", "#/inbox"].includes(location.hash) ? firstPage() : null;
  const [me, people, all, views] = await Promise.all([api.me(), api.users().catch(() => none), api.counts([""]).catch(() => null), api.views().catch(() => none)]);
  desk.me = me;
  desk.people = people.items.filter((one) => !one.disabled_at);
  // Until the first ticket is there, the steps to it are what an agent sees.
  desk.isNew = all?.items[0]?.count === 0;
  desk.views = views.items;
  parts = shell();
  list = new TicketList(parts.rows, desk, early);
  desk.seen = (number) => { list.seen(number); count(); };
  drawOwn();
  window.addEventListener("hashchange", route);
  document.addEventListener("keydown", key);
  app.addEventListener("click", (event) => {
    // Back is where the list was, whichever that is by now.
    const back = event.target.closest("a.back");
    if (back) back.href = desk.home;
  });
  route();
  if (app.dataset.at === "page") list.show(VIEWS[0], "");
  count();
  follow(happened, connected);
  // Only whoever lets the browser show something needs what does it.
  if (window.Notification?.permission === "granted") import("./notify.js").then(({ notifier }) => notifier(desk)).catch(() => {});
  setInterval(passTime, 30_000);
}

start().catch((problem) => toast(say("failed", { why: problem.message }), { error: true, seconds: 60 }));

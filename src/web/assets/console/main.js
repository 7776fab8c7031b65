// The shell: navigation, the list, what is open beside it, keys, live updates.

import { api, follow } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { showBoard } from "./board.js";
import { showCalls, tellEnd } from "./calls.js";
import { showFirst } from "./first.js";
import { showAudit, showPeople } from "./people.js";
import { showChannels, showOutbox, showQuarantine } from "./running.js";
import { TicketList, VIEWS, asQuery, filterBar } from "./list.js";
import { TicketPage } from "./ticket.js";
import { say, switchLanguage } from "./words.js";

const PAGES = { start: showFirst, calls: showCalls, channels: showChannels, outbox: showOutbox, quarantine: showQuarantine, dashboard: showBoard, people: showPeople, audit: showAudit };
const COUNTED = ["inbox", "mine", "mentions", "unassigned", "urgent", "waiting_us"];
/** What a list can be narrowed by. */
const NARROW = ["status", "priority", "channel", "queue", "tag", "assignee", "waiting"];

const desk = { me: null, people: [], views: [] };
const app = document.getElementById("app");
const counts = new Map();
let list = null;
let page = null;
let online = true;

function link(view, words, name) {
  const count = h("span.count");
  counts.set(view, count);
  // Filled in later, by `count`.
  return h("a.nav", { href: `#/${view}`, data: { view } }, h("span", null, words), name ?? count);
}

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
    ["calls", "channels", "outbox", "quarantine", "dashboard", "people", ...(desk.me.role === "admin" ? ["audit"] : [])].map((name) => link(name, say(name))),
    desk.isNew ? link("start", say("first_steps")) : null,
    h("div.foot", null,
      h("span.who", null, desk.me.name),
      h("button.link", { type: "button", on: { click: switchLanguage } }, say("language")),
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
  const filter = list.view?.filter ?? {};
  if (parts.open.getAttribute("aria-expanded") !== "true") {
    fill(parts.narrow);
    return;
  }
  const words = await api.ticketWords().catch(() => ({ channels: [], queues: [], tags: [] }));
  // What the address says now, not what it said when the boxes were drawn: they may be chosen quickly.
  const find = (name, value) => {
    const [path, given] = location.hash.replace(/^#\/?/, "").split("?");
    const [view, q] = viewOf(...`${path}/`.split("/", 2), given);
    location.hash = `#/find?${asQuery({ ...view.filter, [name]: value, q, sort: "-updated_at" })}`;
  };
  fill(parts.narrow, filterBar(filter, words, desk.people, find, async () => {
    const name = prompt(say("view_name"))?.trim();
    if (!name) return;
    try {
      const saved = await api.saveView(name, asQuery({ ...filter, q: list.q }));
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
  const [path] = location.hash.replace(/^#\/?/, "").split("?");
  if (path.startsWith("ticket/")) return;
  for (const element of document.querySelectorAll("a.nav")) {
    if (element.dataset.view === (path || "inbox")) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
}

let parts = null;

/** `#/inbox`, `#/all?q=…`, `#/find?tag=…`, `#/view/…`, `#/ticket/12`, `#/channels`. */
function route() {
  const [path, words] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, of] = (path || "inbox").split("/");
  page?.close?.();
  page = null;
  app.dataset.at = name === "ticket" || PAGES[name] ? "page" : "list";
  if (name === "ticket" && of) {
    page = new TicketPage(parts.main, of, desk);
    list.mark(of);
    return;
  }
  point();
  if (PAGES[name]) {
    page = PAGES[name](parts.main, desk) ?? null;
    return;
  }
  const [view, q] = viewOf(name, of, words);
  parts.search.value = q;
  parts.title.textContent = VIEWS.includes(view) ? say(view.name) : desk.views.find((own) => own.id === view.name)?.name ?? say("narrow");
  list.show(view, q);
  drawNarrow();
  if (desk.isNew) {
    page = showFirst(parts.main, desk);
    app.dataset.at = "page";
    return;
  }
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
  if (kind.startsWith("channel.") || kind.startsWith("quarantine.") || kind.startsWith("callback.")) page?.refresh?.();
  if (kind === "callback.updated") tellEnd(event.data);
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

function help() {
  const keys = [["j", "key_next"], ["k", "key_prev"], ["Enter", "key_open"], ["r", "key_reply"], ["n", "key_note"],
    ["e", "key_solve"], ["/", "key_search"], ["x", "key_pick"], ["Ctrl Enter", "key_send"], ["Esc", "key_back"], ["?", "key_help"]];
  const box = h("dialog", { "aria-label": say("keys") },
    h("h2", null, say("keys")),
    h("dl.keys", null, keys.map(([key, words]) => [h("dt", null, h("kbd", null, key)), h("dd", null, say(words))])),
    h("form", { method: "dialog" }, h("button", null, say("close"))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

function key(event) {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "Escape") {
    if (typing) typing.blur();
    else if (app.dataset.at === "page") history.length > 1 ? history.back() : (location.hash = "#/inbox");
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
  desk.me = await api.me();
  desk.people = (await api.users().catch(() => ({ items: [] }))).items.filter((one) => !one.disabled_at);
  // Until the first ticket is there, the steps to it are what an agent sees.
  desk.isNew = (await api.counts([""]).catch(() => null))?.items[0]?.count === 0;
  desk.views = (await api.views().catch(() => ({ items: [] }))).items;
  parts = shell();
  list = new TicketList(parts.rows, desk);
  desk.seen = (number) => { list.seen(number); count(); };
  drawOwn();
  window.addEventListener("hashchange", route);
  document.addEventListener("keydown", key);
  route();
  if (app.dataset.at === "page") list.show(VIEWS[0], "");
  count();
  follow(happened, connected);
}

start().catch((problem) => toast(say("failed", { why: problem.message }), { error: true, seconds: 60 }));

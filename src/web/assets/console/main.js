// The shell: navigation, the list, what is open beside it, keys, live updates.

import { api, follow } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { showBoard } from "./board.js";
import { showCalls } from "./calls.js";
import { showAudit, showPeople } from "./people.js";
import { showChannels, showOutbox, showQuarantine } from "./running.js";
import { TicketList, VIEWS } from "./list.js";
import { TicketPage } from "./ticket.js";
import { say, switchLanguage } from "./words.js";

const PAGES = { calls: showCalls, channels: showChannels, outbox: showOutbox, quarantine: showQuarantine, dashboard: showBoard, people: showPeople, audit: showAudit };
const COUNTED = ["inbox", "mine", "unassigned", "urgent"];

const desk = { me: null, people: [] };
const app = document.getElementById("app");
const counts = new Map();
let list = null;
let page = null;
let online = true;

function link(view, words, name) {
  const count = h("span.count");
  counts.set(view, count);
  return h("a.nav", { href: `#/${view}`, data: { view }, "aria-label": words }, h("span", null, words), name ?? count);
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
    h("div.head", null, say("desk")),
    ["calls", "channels", "outbox", "quarantine", "dashboard", "people", ...(desk.me.role === "admin" ? ["audit"] : [])].map((name) => link(name, say(name))),
    h("div.foot", null,
      h("span.who", null, desk.me.name),
      h("button.link", { type: "button", on: { click: switchLanguage } }, say("language")),
      h("button.link", { type: "button", on: { click: help } }, say("keys")),
      h("form", { method: "post", action: "/console/sign-out" }, h("button.link", null, say("sign_out")))));
  const middle = h("section.list", { "aria-label": say("views") }, h("header.top", null, search), h("div.rows"));
  const main = h("main.page", { tabindex: -1 });
  fill(app, h("div.offline", { role: "status", hidden: true }, say("offline")), h("div.columns", null, nav, middle, main));
  return { search, rows: middle.querySelector(".rows"), main };
}

let parts = null;

/** `#/inbox`, `#/all?q=…`, `#/ticket/12`, `#/channels`. */
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
  for (const element of document.querySelectorAll("a.nav")) {
    if (element.dataset.view === name) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
  if (PAGES[name]) {
    page = PAGES[name](parts.main, desk) ?? null;
    return;
  }
  const q = new URLSearchParams(words).get("q") ?? "";
  parts.search.value = q;
  list.show(VIEWS.find((view) => view.name === name) ?? VIEWS[0], q);
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

async function count() {
  for (const name of COUNTED) {
    const view = VIEWS.find((known) => known.name === name);
    try {
      const found = await api.tickets({ ...view.filter, limit: 100 });
      const number = found.next_cursor ? "99+" : String(found.items.length || "");
      counts.get(name).textContent = number;
    } catch {
      return;
    }
  }
}

function happened(kind, event) {
  if (kind.startsWith("channel.") || kind.startsWith("quarantine.") || kind.startsWith("callback.")) page?.refresh?.();
  if (!event.ticket_id) return;
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
    ["e", "key_solve"], ["/", "key_search"], ["Ctrl Enter", "key_send"], ["Esc", "key_back"], ["?", "key_help"]];
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
    "/": () => parts.search.focus(),
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
  parts = shell();
  list = new TicketList(parts.rows, desk);
  window.addEventListener("hashchange", route);
  document.addEventListener("keydown", key);
  route();
  if (app.dataset.at === "page") list.show(VIEWS[0], "");
  count();
  follow(happened, connected);
}

start().catch((problem) => toast(say("failed", { why: problem.message }), { error: true, seconds: 60 }));

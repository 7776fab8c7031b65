// Figures: what came, how fast it was answered, what is left, what it was about, how customers judged. Plots are
// drawn by the daemon; each has a table with the same numbers, which says all that the plot shows.

import { api, query } from "./api.js";
import { h, fill } from "./dom.js";
import { say, span } from "./words.js";

const SPANS = [7, 30, 90, 365];
const KEPT = "tributary.board";

/** What was last looked at, in this tab. */
function kept() {
  try {
    return { days: 30, channel: "", tag: "", assignee: "", ...JSON.parse(sessionStorage.getItem(KEPT)) };
  } catch {
    return { days: 30, channel: "", tag: "", assignee: "" };
  }
}

function figure(name, words, value) {
  return h("div.figure", { data: { figure: name } }, h("b", null, String(value)), h("span.small", null, words));
}

/** A plot for light and for dark pages; `series` says what its colours mean. */
function plot(name, filter, series) {
  const at = (ground) => `/api/v1/stats/plots/${name}-${ground}.svg${query(filter)}`;
  return h("section.card.plot", { data: { plot: name } },
    h("h2", null, say(`plot.${name}`), series.map((one, place) => h("span.legend", null, h(`span.key.series-${place}`), h("span.small", null, say(one))))),
    h("picture", null, h("source", { media: "(prefers-color-scheme: dark)", srcset: at("dark") }),
      h("img", { src: at("light"), alt: say(`plot.${name}`), loading: "lazy" })));
}

const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));
const COLUMNS = [
  ["opened", (row) => row.opened], ["ended", (row) => row.solved], ["backlog", (row) => row.backlog],
  ["came", (row) => row.messages_in], ["went", (row) => row.messages_out],
  ["first_answer", (row) => span(row.first_response)], ["solving", (row) => span(row.resolution)],
  ["judged", (row) => (row.ratings ? `${share(row.rating)} (${row.ratings})` : "–")],
];

/** The numbers behind plots, and the same for a spreadsheet. */
function numbers(table, head, rows, filter) {
  return h("details.card.numbers", { data: { table } },
    h("summary", null, say("numbers_of", { what: head })),
    h("p", null, h("a", { href: `/api/v1/stats/tables/${table}.csv${query(filter)}`, download: "" }, say("csv"))),
    h("div.scroll", { tabindex: 0, role: "region", "aria-label": head }, h("table", null,
      h("thead", null, h("tr", null, h("th", { scope: "col" }, head), COLUMNS.map(([words]) => h("th", { scope: "col" }, say(words))))),
      h("tbody", null, rows.map((row) => h("tr", null, h("th", { scope: "row" }, row.name), COLUMNS.map(([, of]) => h("td", null, String(of(row))))))))));
}

/** What became of known answers that went out by themselves. */
function known(articles) {
  const columns = ["shown", "helped", "followed", "escalated", "silent", "waiting"];
  return h("details.card.numbers", { data: { table: "known" } }, h("summary", null, say("numbers_of", { what: say("plot.known") })),
    h("div.scroll", { tabindex: 0, role: "region", "aria-label": say("plot.known") }, h("table", null,
      h("thead", null, h("tr", null, h("th", { scope: "col" }, say("known")), columns.map((one) => h("th", { scope: "col" }, say(`known.${one}`))))),
      h("tbody", null, articles.map((one) => h("tr", null, h("th", { scope: "row" }, one.title ?? one.article), columns.map((column) => h("td", null, String(one[column])))))))));
}

/** What the remarks of customers are about, and how these judged. */
function remarks(topics) {
  return h("details.card.numbers", { data: { table: "remarks" } }, h("summary", null, say("numbers_of", { what: say("remarks") })),
    h("table", null,
      h("thead", null, h("tr", null, [say("remark_topic"), say("remark_count"), say("judged")].map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", null, Object.entries(topics).sort(([, one], [, other]) => other.count - one.count).map(([name, of]) =>
        h("tr", null, h("th", { scope: "row" }, name), h("td", null, String(of.count)), h("td", null, share(of.mean)))))));
}

function scores(board) {
  return h("details.card.numbers", { data: { table: "scores" } }, h("summary", null, say("numbers_of", { what: say("plot.satisfaction") })),
    h("table", null, h("tbody", null, board.scores.map((times, place) => h("tr", null, h("th", { scope: "row" }, `${place + 1} ★`), h("td", null, String(times)))).reverse())));
}

export function showBoard(parent, desk) {
  const wanted = kept();
  const body = h("div.body");
  const bar = h("div.choices.filters");
  let closed = false;
  let turn = 0;
  fill(parent, h("div.plain-page", null, h("header.top", null, h("a.back", { href: "#/inbox", "aria-label": say("key_back") }, "‹"), h("h1", null, say("dashboard"))), bar, body));

  function set(name, value) {
    wanted[name] = value;
    sessionStorage.setItem(KEPT, JSON.stringify(wanted));
    refresh();
  }

  function choice(name, words, values) {
    const known = values.some(([value]) => value === wanted[name]) ? values : [...values, [wanted[name], wanted[name]]];
    return h("label", null, h("span.small", null, words), h("select", { name, on: { change: (event) => set(name, event.target.value) } },
      known.map(([value, text]) => h("option", { value, selected: value === wanted[name] }, text))));
  }

  function choices(channels, tags) {
    const any = ["", say("any")];
    fill(bar,
      h("div.tabs", { role: "group", "aria-label": say("span_of_time") }, SPANS.map((count) => h("button.tab", {
        type: "button", data: { count }, "aria-pressed": String(count === Number(wanted.days)), on: { click: () => set("days", count) } }, say("days", { n: count })))),
      choice("channel", say("channel"), [any, ...channels.map((name) => [name, name])]),
      choice("tag", say("tags"), [any, ...tags.map((name) => [name, name])]),
      choice("assignee", say("assignee"), [any, ["none", say("nobody")], ...desk.people.map((one) => [one.id, one.name])]));
  }

  async function refresh() {
    const mine = ++turn;
    const now = Date.now();
    const filter = { from: new Date(now - wanted.days * 864e5).toISOString(), to: new Date(now).toISOString(),
      channel: wanted.channel, tag: wanted.tag, assignee: wanted.assignee };
    try {
      const within = { from: filter.from, to: filter.to, channel: filter.channel };
      const [board, words, faq, stats] = await Promise.all([api.board(filter), api.ticketWords(), api.faq(within), api.stats(within)]);
      const topics = stats.ratings.by_topic;
      if (closed || mine !== turn) return;
      choices(words.channels, words.tags);
      const { total } = board;
      fill(body,
        h("div.figures", null,
          figure("opened", say("opened"), total.opened), figure("solved", say("ended"), total.solved), figure("backlog", say("backlog"), total.backlog),
          figure("first_response", say("first_answer"), span(total.first_response)), figure("resolution", say("solving"), span(total.resolution)),
          figure("rating", say("judged"), total.ratings ? `${share(total.rating)} / 5` : "–")),
        h("div.plots", null,
          plot("volumes", filter, ["opened", "ended", "came"]), plot("times", filter, ["first_answer", "solving"]),
          plot("backlog", filter, ["backlog"]), plot("satisfaction", filter, []),
          plot("topics", filter, []), plot("channels", filter, []),
          faq.items.length ? plot("known", filter, []) : null),
        numbers("days", say("by_day"), board.days, filter),
        numbers("channels", say("by_channel"), board.channels, filter),
        numbers("tags", say("by_tag"), board.tags, filter),
        faq.items.length ? known(faq.items) : null,
        Object.keys(topics).length ? remarks(topics) : null,
        scores(board));
    } catch (problem) {
      if (!closed && mine === turn) fill(body, h("div.blank", null, problem.message));
    }
  }
  refresh();
  return { close: () => { closed = true; } };
}

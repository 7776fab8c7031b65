// How it runs: channels, what could not be sent, what could not be read.

import { api, query } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { ago, bytes, moment, say } from "./words.js";

const GOOD = ["running", "connecting", "waiting_for_lease"];

/** A page that reads itself again when something happens, and every so many seconds unless that is null. */
export function page(parent, title, read, every = 10) {
  const body = h("div.body");
  fill(parent, h("div.plain-page", null, h("header.top", null, h("a.back", { href: "#/inbox", "aria-label": say("key_back") }, "‹"), h("h1", null, title)), body));
  let closed = false;
  const refresh = async () => {
    try {
      const content = await read(refresh);
      if (!closed) fill(body, content);
    } catch (problem) {
      if (!closed) fill(body, h("div.blank", null, problem.message));
    }
  };
  const timer = every === null ? undefined : setInterval(refresh, every * 1000);
  refresh();
  return { refresh, close: () => { closed = true; clearInterval(timer); } };
}

export function table(heads, rows) {
  // Wider than a phone: whoever has no finger for it scrolls it by keys.
  return h("div.scroll", { tabindex: 0, role: "region", "aria-label": heads.filter(Boolean).join(", ") }, h("table", null,
    h("thead", null, h("tr", null, heads.map((head) => (head ? h("th", { scope: "col" }, head) : h("td"))))),
    h("tbody", null, rows)));
}

export function button(words, action, refresh) {
  return h("button.small", { type: "button", on: { click: async (event) => {
    event.target.disabled = true;
    try {
      await action();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
    refresh();
  } } }, words);
}

/** What came by a channel in the last 30 days, small. The same address each time, so that the browser asks seldom. */
function spark(channel) {
  const at = (ground) => `/api/v1/stats/plots/spark-${ground}.svg${query({ channel: channel.name })}`;
  return h("picture.spark", null, h("source", { media: "(prefers-color-scheme: dark)", srcset: at("dark") }),
    h("img", { src: at("light"), alt: say("spark", { channel: channel.name }), width: 240, height: 36, loading: "lazy" }));
}

/** Tries a channel and says what came of it. */
async function check(channel) {
  const { items } = await api.checkChannel(channel.name);
  const wrong = items.filter((one) => !one.works);
  if (!items.length) toast(say("check_none", { name: channel.name }));
  else if (!wrong.length) toast(say("check_good", { name: channel.name }));
  for (const one of wrong) toast(`${channel.name} · ${say(`part.${one.part}`)}: ${one.error}`, { error: true, seconds: 20 });
}

export function showChannels(parent, desk) {
  const may = desk.me.role === "admin";
  return page(parent, say("channels"), async (refresh) => {
    const { items } = await api.channels();
    return h("div.cards", null, items.map((channel) => {
      const counters = channel.counters;
      const waiting = counters.queued + counters.unread + counters.held;
      return h("section.card", null,
        h("header", null, h("span.dot", { class: GOOD.includes(channel.state) ? "good" : channel.state === "paused" ? "paused" : "bad" }),
          h("b", null, channel.name), h("span.tag", null, channel.kind), h("span.small", null, say(channel.state))),
        h("p.small", null, channel.addresses.join(", ")),
        spark(channel),
        h("dl.facts", null,
          h("dt", null, say("last_success")), h("dd", { title: channel.last_success_at ? moment(channel.last_success_at) : "" }, channel.last_success_at ? ago(channel.last_success_at) : "–"),
          h("dt", null, say("today")), h("dd", null, say("in_out", { in: counters.received_24h, out: counters.sent_24h })),
          channel.backlog === null ? null : [h("dt", null, say("lag")), h("dd.lag", null, String(channel.backlog))],
          h("dt", null, say("waiting")), h("dd", null, String(waiting)),
          h("dt", null, say("quarantine")), h("dd", null, String(counters.quarantined)),
          h("dt", null, say("delivery.failed")), h("dd", null, String(counters.failed + counters.unconfirmed))),
        channel.last_error && !GOOD.slice(0, 1).includes(channel.state)
          ? h("p.notice", null, channel.last_error, channel.last_error_at ? h("span.small", { title: moment(channel.last_error_at) }, ` · ${ago(channel.last_error_at)}`) : null) : null,
        channel.advice ? h("p.advice", null, channel.advice) : null,
        may ? h("div.choices", null,
          channel.paused ? button(say("resume"), () => api.resume(channel.name), refresh) : button(say("pause"), () => api.pause(channel.name), refresh),
          button(say("check"), () => check(channel), refresh)) : null);
    }));
  }, 5);
}

export function showOutbox(parent) {
  return page(parent, say("outbox"), async (refresh) => {
    const { items } = await api.outbox({ limit: 100 });
    if (!items.length) return h("div.blank", null, say("nothing_out"));
    return table([say("state"), say("to"), say("channel"), say("when"), say("reason"), ""], items.map((one) => h("tr", null,
      h("td", null, h("span.tag", { class: one.status }, say(`delivery.${one.status}`))),
      h("td", null, h("a", { href: `#/ticket/${one.ticket_id}` }, one.to)),
      h("td", null, one.channel),
      h("td", { title: moment(one.updated_at) }, ago(one.updated_at)),
      h("td", null, one.error ?? (one.next_attempt_at ? say("next_try", { when: ago(one.next_attempt_at) }) : ""), one.attempts > 1 ? ` (${say("attempts", { n: one.attempts })})` : ""),
      h("td.actions", null, ({
        queued: [["hold", say("hold")], ["cancel", say("cancel")]],
        held: [["release", say("release")], ["cancel", say("cancel")]],
        failed: [["retry", say("retry")], ["cancel", say("leave")]],
        bounced: [["retry", say("retry")]],
        unconfirmed: [["retry", say("resend")], ["cancel", say("leave")]],
        cancelled: [["retry", say("retry")]],
      }[one.status] ?? []).map(([action, words]) => button(words, () => api.delivery(one.id, action), refresh))))));
  });
}

export function showQuarantine(parent) {
  return page(parent, say("quarantine"), async (refresh) => {
    const { items } = await api.quarantine();
    if (!items.length) return h("div.blank", null, say("nothing_in"));
    return table([say("channel"), say("when"), say("size"), say("reason"), ""], items.map((one) => h("tr", null,
      h("td", null, one.channel),
      h("td", { title: moment(one.received_at) }, ago(one.received_at)),
      h("td", null, bytes(one.size)),
      h("td", null, one.reason ?? "", one.ticket_id ? h("a", { href: `#/ticket/${one.ticket_id}` }, " #") : null),
      h("td.actions", null,
        h("a", { href: `/api/v1/quarantine/${one.id}/raw`, download: "" }, say("as_came")),
        button(say("retry"), () => api.retryRaw(one.id), refresh),
        button(say("drop"), async () => { if (confirm(say("drop_sure"))) await api.dropRaw(one.id); }, refresh)))));
  });
}

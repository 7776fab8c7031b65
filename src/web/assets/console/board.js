// Figures of the last weeks, as numbers and bars.

import { api } from "./api.js";
import { h, fill, shape } from "./dom.js";
import { say, span } from "./words.js";

/** Two bars a day: came in, went out. */
function bars(days) {
  const [width, height, foot] = [720, 180, 18];
  const most = Math.max(1, ...days.map(([, figures]) => Math.max(figures.messages_in, figures.messages_out)));
  const step = width / Math.max(days.length, 1);
  const drawing = shape("svg", { viewBox: `0 0 ${width} ${height + foot}`, class: "bars", role: "img", "aria-label": say("by_day") });
  days.forEach(([day, figures], at) => {
    const bar = (value, offset, kind) => {
      const tall = (value / most) * (height - 4);
      const one = shape("rect", { x: at * step + step * offset, y: height - tall, width: step * 0.38, height: tall, rx: 2, class: kind });
      const title = shape("title", {});
      title.textContent = `${day}: ${value}`;
      one.append(title);
      drawing.append(one);
    };
    bar(figures.messages_in, 0.1, "came");
    bar(figures.messages_out, 0.52, "went");
    if (at % Math.ceil(days.length / 10) === 0) {
      const text = shape("text", { x: at * step + step / 2, y: height + 14, "text-anchor": "middle" });
      text.textContent = day.slice(5);
      drawing.append(text);
    }
  });
  return drawing;
}

function figure(words, value) {
  return h("div.figure", null, h("b", null, String(value)), h("span.small", null, words));
}

export function showBoard(parent) {
  const body = h("div.body");
  let days = 30;
  let closed = false;
  const choose = h("div.tabs", null, [7, 30, 90].map((count) =>
    h("button.tab", { type: "button", data: { count }, on: { click: () => { days = count; refresh(); } } }, say("days", { n: count }))));
  fill(parent, h("div.plain-page", null, h("header.top", null, h("a.back", { href: "#/inbox", "aria-label": say("key_back") }, "‹"), h("h1", null, say("dashboard")), choose), body));
  async function refresh() {
    for (const tab of choose.children) tab.setAttribute("aria-selected", Number(tab.dataset.count) === days);
    try {
      const stats = await api.stats(days);
      if (closed) return;
      const total = stats.total;
      fill(body,
        h("div.figures", null,
          figure(say("opened"), total.tickets_created), figure(say("ended"), total.tickets_solved),
          figure(say("came"), total.messages_in), figure(say("went"), total.messages_out),
          figure(say("first_answer"), span(total.first_response.mean)), figure(say("solving"), span(total.resolution.mean))),
        h("section.card", null, h("h2", null, say("by_day"), h("span.key.came"), h("span.small", null, say("came")), h("span.key.went"), h("span.small", null, say("went"))), bars(Object.entries(stats.by_day))),
        h("section.card", null, h("h2", null, say("by_channel")), h("div.scroll", null, h("table", null,
          h("thead", null, h("tr", null, [say("channel"), say("opened"), say("ended"), say("came"), say("went"), say("first_answer")].map((head) => h("th", { scope: "col" }, head)))),
          h("tbody", null, Object.entries(stats.by_channel).map(([name, figures]) => h("tr", null,
            h("td", null, name), h("td", null, String(figures.tickets_created)), h("td", null, String(figures.tickets_solved)),
            h("td", null, String(figures.messages_in)), h("td", null, String(figures.messages_out)), h("td", null, span(figures.first_response.mean)))))))));
    } catch (problem) {
      fill(body, h("div.blank", null, problem.message));
    }
  }
  refresh();
  return { close: () => { closed = true; } };
}

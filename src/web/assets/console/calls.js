// Call-backs: who wants to be called, who is calling, how it ended.

import { api } from "./api.js";
import { h, toast } from "./dom.js";
import { button, page, table } from "./running.js";
import { ago, moment, say } from "./words.js";

const OUTCOMES = ["reached", "no_answer", "busy", "voicemail", "failed", "wrong_number", "declined"];

/** Call-backs for which the telephone of whoever sits here rings. */
const mine = new Set();

function connect(one) {
  mine.add(one.id);
  return api.callback(one.id, "connect", one.version, {});
}

/** Says how a call that was begun here ended, on whatever page they are by then. */
export function tellEnd({ callback, changes }) {
  if (!mine.has(callback) || changes.status === "calling") return;
  const how = changes.outcome ? say(`call.${changes.outcome}`) : `${say("call.failed")}: ${changes.why ?? ""}`;
  toast(`${say("call_ended")}: ${how}`, { seconds: 15, error: changes.outcome !== "reached" });
}

/** What can be done with a call-back now. */
export function callActions(one, refresh) {
  if (one.status === "waiting") {
    return [
      button(say("call_now"), () => api.callback(one.id, "call", one.version), refresh),
      button(say("connect_me"), () => connect(one), refresh),
      button(say("cancel"), () => api.callback(one.id, "cancel", one.version), refresh),
    ];
  }
  if (one.status !== "calling") return [];
  return OUTCOMES.map((outcome) => button(say(`call.${outcome}`),
    () => api.callback(one.id, "outcome", one.version, { outcome }), refresh));
}

/** The number is a link: whatever telephone the agent has takes it from there. */
export const dial = (one) => h("a.phone", { href: `tel:${one.phone}` }, one.phone);

export function showCalls(parent) {
  return page(parent, say("calls"), async (refresh) => {
    const { items } = await api.callbacks();
    if (!items.length) return h("div.blank", null, say("nobody_calls"));
    return table([say("customer"), say("phone"), say("call_due"), say("what"), say("state"), ""], items.map((one) => h("tr", null,
      h("td", null, h("a", { href: `#/ticket/${one.ticket_number}` }, `#${one.ticket_number} ${one.contact.name}`)),
      h("td", null, dial(one)),
      h("td", { title: moment(one.due_at) }, ago(one.due_at), one.time_zone ? h("div.small", null, one.time_zone) : null),
      h("td", { dir: "auto" }, [one.wanted, one.note].filter(Boolean).join(" · ")),
      h("td", null, say(`call.${one.status}`), one.agent && one.status === "calling" ? ` · ${one.agent}` : "",
        one.attempts ? h("div.small", null, say("attempts", { n: one.attempts }), one.outcome ? ` · ${say(`call.${one.outcome}`)}` : "") : null),
      h("td.choices", null, callActions(one, refresh)))));
  });
}

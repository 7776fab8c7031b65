// The first run: what to do while nothing has come yet, and a test message that shows a ticket arriving.

import { api, wish } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { say } from "./words.js";

const SNIPPET = `[channels.support_mail]
kind = "email"
address = "support@example.com"
[channels.support_mail.receive]
protocol = "imap"
host = "imap.example.com"
username = "support@example.com"
password = { file = "/etc/tributary/secrets/mail" }
[channels.support_mail.send]
host = "smtp.example.com"
username = "support@example.com"
password = { file = "/etc/tributary/secrets/mail" }`;

/** Writes into a web chat as a visitor would, over the same calls as the widget. */
async function writeAsVisitor(channel, name, text) {
  const call = async (path, body, token) => {
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    const answer = await fetch(`/chat/${channel}/${path}`, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" });
    const found = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(found.detail ?? found.title ?? `HTTP ${answer.status}`);
    return found;
  };
  const { token } = await call("session", {});
  await call("messages", { client_id: wish(), text, name }, token);
}

/** The page of the first run. `desk.me` looks at it. */
export function showFirst(parent, desk) {
  const arrived = h("div.arrived", { role: "status" });
  const first = h("div");
  let closed = false;
  let waits = false;
  fill(parent, h("div.plain-page", null, h("header.top", null, h("a.back", { href: "#/inbox", "aria-label": say("key_back") }, "‹"), h("h1", null, say("first_title"))),
    h("div.body.steps", null,
      h("section.card", null, h("h2", null, "1. ", say("step_test")), h("p", null, say("step_test_more")), first, arrived),
      h("section.card", null, h("h2", null, "2. ", say("step_channel")), h("p", null, say("step_channel_more")), h("pre.once", { tabindex: 0, "aria-label": say("step_channel") }, SNIPPET),
        h("p", null, h("code", null, "tributary check --online"), " · ", h("code", null, "systemctl reload tributary"))),
      h("section.card", null, h("h2", null, "3. ", say("step_people")), h("p", null, say("step_people_more")), h("p", null, h("a", { href: "#/people" }, say("people")))))));

  api.channels().then(({ items }) => {
    if (closed) return;
    const chat = items.find((channel) => channel.kind === "webchat" && channel.state !== "paused");
    if (!chat) {
      fill(first, h("p.small", null, say("step_test_none")));
      return;
    }
    const button = h("button.primary.test-message", { type: "button", on: { click: async () => {
      button.disabled = true;
      waits = true;
      try {
        await writeAsVisitor(chat.name, desk.me.name, say("test_message"));
        if (!arrived.childElementCount) fill(arrived, h("p", null, say("test_sent")));
      } catch (problem) {
        waits = false;
        toast(say("failed", { why: problem.message }), { error: true });
      }
      button.disabled = false;
    } } }, say("send_test"));
    fill(first, h("div.choices", null, button, h("a", { href: `/chat/${chat.name}/demo`, target: "_blank", rel: "noopener" }, say("open_chat"))));
  }).catch((problem) => fill(first, h("p.small", null, problem.message)));

  return {
    close: () => { closed = true; },
    /** A ticket came while somebody looks at this page: that is what they wait for. */
    happened: (event) => {
      if (!waits || !event.ticket_id) return;
      waits = false;
      api.ticket(event.ticket_id).then((ticket) => {
        fill(arrived, h("p.good", null, say("test_arrived"), " ", h("a", { href: `#/ticket/${ticket.number}` }, `#${ticket.number} ${ticket.subject}`)));
      }).catch(() => { waits = true; });
    },
  };
}

// Who may use this: my own account, people, tokens, sessions, and who did what.

import { api } from "./api.js";
import { h, fill, openBox, shape, toast } from "./dom.js";
import { button, page, table } from "./running.js";
import { ago, moment, say } from "./words.js";

const ROLES = ["read_only", "agent", "admin"];

/** Something that is shown this once, to be copied. */
function once(words, text) {
  const box = h("dialog", { "aria-label": words },
    h("h2", null, words), h("pre.once", { tabindex: 0 }, text),
    h("form", { method: "dialog" }, h("button.primary", null, say("kept_it"))));
  openBox(box);
}

/** A form that does something with its values and is empty afterwards. */
function form(name, fields, words, action, refresh) {
  const element = h(`form.inline.${name}`, { on: { submit: async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(element));
    try {
      await action(values);
      element.reset();
      refresh();
    } catch (problem) {
      toast(say("failed", { why: problem.message }), { error: true });
    }
  } } }, fields, h("button.primary", null, words));
  return element;
}

const field = (label, props) => h("label", null, h("span.small", null, label), h("input", { required: true, ...props }));
const role = (chosen, props) => h("select", { name: "role", "aria-label": say("role"), ...props },
  ROLES.map((one) => h("option", { value: one, selected: one === chosen }, say(`role.${one}`))));
const time = (at) => (at ? h("time", { datetime: at, title: moment(at) }, ago(at)) : "–");

function card(name, words, ...content) {
  return h(`section.card.${name}`, null, h("h2", null, words), content);
}

/** The secret as a picture and as text, and the field for the first code. */
function enrolment(begun, refresh) {
  const { size, path } = begun.qr;
  const picture = shape("svg", { viewBox: `0 0 ${size} ${size}`, class: "qr", role: "img", "aria-label": say("qr") });
  picture.append(shape("rect", { width: size, height: size, class: "light" }), shape("path", { d: path, class: "dark" }));
  const box = h("dialog.enrol", { "aria-label": say("second_factor") },
    h("h2", null, say("second_factor")), h("p", null, say("scan_qr")), picture,
    h("p.small", null, say("or_type"), " ", h("code.secret", null, begun.secret)),
    form("confirm", field(say("code"), { name: "code", autocomplete: "one-time-code", inputmode: "numeric", maxlength: 10 }), say("confirm"),
      async ({ code }) => {
        const { recovery_codes } = await api.confirmFactor(code);
        box.close();
        once(say("recovery_codes"), recovery_codes.join("\n"));
      }, refresh),
    h("form", { method: "dialog" }, h("button", null, say("cancel"))));
  openBox(box);
}

function account(me, refresh) {
  const on = me.second_factor_at;
  return card("account", say("my_account"),
    h("p", null, h("b", null, me.name), " ", me.email, " ", h("span.tag", null, say(`role.${me.role}`))),
    h("p", null, on ? [say("factor_on"), " ", time(on)] : say("factor_off")),
    on
      ? form("remove", field(say("code"), { name: "code", autocomplete: "one-time-code", maxlength: 64 }), say("factor_remove"), ({ code }) => api.removeFactor(code), refresh)
      : button(say("factor_set"), async () => enrolment(await api.beginFactor(), refresh), () => {}));
}

function users(people, me, refresh) {
  const rows = people.map((one) => h("tr", { class: one.disabled_at ? "gone" : "", data: { email: one.email } },
    h("td", null, h("b", null, one.name), h("br"), h("span.small", null, one.email)),
    h("td", null, one.disabled_at ? say(`role.${one.role}`) : role(one.role, { on: { change: async (event) => {
      try {
        await api.changeUser(one.id, { role: event.target.value });
      } catch (problem) {
        toast(say("failed", { why: problem.message }), { error: true });
      }
      refresh();
    } } })),
    h("td", null, one.disabled_at ? one.queues.join(", ") : h("input.teams", { value: one.queues.join(", "), "aria-label": `${say("teams")}: ${one.name}`, on: { change: async (event) => {
      try {
        await api.changeUser(one.id, { queues: event.target.value.split(/[,，]/).map((queue) => queue.trim()).filter(Boolean) });
      } catch (problem) {
        toast(say("failed", { why: problem.message }), { error: true });
      }
      refresh();
    } } })),
    h("td", null, one.disabled_at ? say("disabled") : one.second_factor_at ? say("with_factor") : one.has_password ? say("with_password") : say("with_link")),
    h("td.actions", null, one.disabled_at ? null : [
      button(say("new_link"), async () => once(say("sign_in_link"), (await api.signInLink(one.id)).sign_in), refresh),
      one.second_factor_at ? button(say("factor_reset"), () => api.resetFactor(one.id), refresh) : null,
      one.id === me.id ? null : button(say("disable"), async () => { if (confirm(say("disable_sure", { name: one.name }))) await api.disableUser(one.id); }, refresh),
    ])));
  return card("users", say("users"), table([say("name"), say("role"), say("teams"), say("sign_in"), ""], rows),
    form("add-user", [field(say("name"), { name: "name" }), field(say("mail"), { name: "email", type: "email" }), role("agent")], say("add"),
      async (values) => once(say("sign_in_link"), (await api.addUser(values)).sign_in), refresh));
}

function tokens(items, refresh) {
  const rows = items.filter((one) => !one.revoked_at).map((one) => h("tr", null,
    h("td", null, one.name), h("td", null, say(`role.${one.role}`)), h("td", null, time(one.created_at)), h("td", null, time(one.last_used_at)),
    h("td", null, one.expires_at ? moment(one.expires_at) : "–"),
    h("td.actions", null, button(say("revoke"), async () => { if (confirm(say("revoke_sure", { name: one.name }))) await api.revokeToken(one.id); }, refresh))));
  return card("tokens", say("tokens"), table([say("name"), say("role"), say("since"), say("last_used"), say("until"), ""], rows),
    form("add-token", [field(say("name"), { name: "name" }), role("agent")], say("add"),
      async (values) => once(say("token_once"), (await api.createToken(values)).token), refresh));
}

function sessions(items, people, refresh) {
  const named = (id) => people.find((one) => one.id === id)?.name ?? id;
  const rows = items.map((one) => h("tr", { data: { session: one.id } },
    h("td", null, named(one.user), one.current ? h("span.tag", null, say("this_one")) : null),
    h("td", null, one.address, h("br"), h("span.small", null, one.client)),
    h("td", null, time(one.created_at)), h("td", null, time(one.used_at)),
    h("td.actions", null, one.current ? null : button(say("end"), () => api.revokeSession(one.id), refresh))));
  return card("sessions", say("sessions"), table([say("name"), say("from_where"), say("since"), say("last_used"), ""], rows));
}

export function showPeople(parent, desk) {
  const admin = desk.me.role === "admin";
  return page(parent, say("people"), async (refresh) => {
    const [people, found, issued] = await Promise.all([api.users(), api.sessions(), admin ? api.tokens() : null]);
    const me = people.items.find((one) => one.id === desk.me.id);
    return h("div.people", null,
      me ? account(me, refresh) : null,
      admin ? users(people.items, desk.me, refresh) : null,
      admin ? tokens(issued.items, refresh) : null,
      sessions(found.items, people.items, refresh));
  }, null);
}

/** The particulars of an act, short. */
function particulars(event) {
  const { id, ...rest } = event.data;
  const text = JSON.stringify(rest);
  return text === "{}" ? "" : text.slice(0, 300);
}

export function showAudit(parent, desk) {
  const subject = (event) => {
    if (event.ticket_id) return h("a", { href: `#/ticket/${event.ticket_id}` }, say("ticket"));
    return desk.people.find((one) => one.id === event.data.id)?.name ?? event.channel ?? "";
  };
  const row = (event) => h("tr", null,
    h("td", null, h("time", { datetime: event.at }, moment(event.at))),
    h("td", null, event.actor.name, " ", h("span.tag", null, say(`actor.${event.actor.kind}`))),
    h("td", null, h("code", null, event.kind)), h("td", null, subject(event)), h("td.small", null, particulars(event)));
  return page(parent, say("audit"), async () => {
    const first = await api.audit({});
    let cursor = first.next_cursor;
    const rows = h("tbody", null, first.items.map(row));
    const more = h("button", { type: "button", hidden: !cursor, on: { click: async () => {
      const next = await api.audit({ cursor });
      cursor = next.next_cursor;
      more.hidden = !cursor;
      rows.append(...next.items.map(row));
    } } }, say("more"));
    const whole = table([say("when"), say("who"), say("what"), say("about"), ""], []);
    whole.querySelector("tbody").replaceWith(rows);
    return h("div.audit", null, whole, more);
  }, null);
}

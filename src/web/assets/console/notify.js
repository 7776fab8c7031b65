// What an agent is told of: the page where they choose, and the browser's own notifications. Those follow the
// stream of events, so they come in a tab in the background too, while the console is open in it.

import { api } from "./api.js";
import { h, toast } from "./dom.js";
import { page } from "./running.js";
import { say } from "./words.js";

const OCCASIONS = ["new_ticket", "assigned", "customer_wrote", "mentioned", "due_soon", "overdue", "callback_due", "channel_troubled"];

/** What an event is to people, and whom it names. It is decided here too, because the browser follows the stream
 * itself; the mails are by `occasion`, `wants` (desk/notify) and `OPENING` (store/notify): change both. */
function occasion(kind, event) {
  const data = event.data ?? {};
  switch (kind) {
    case "ticket.created": return ["new_ticket", null];
    case "ticket.updated": return data.changes?.assignee?.to ? ["assigned", data.changes.assignee.to] : null;
    case "message.created": return data.direction === "in" && data.kind !== "system" && event.ticket_seq > 2 ? ["customer_wrote", null] : null;
    case "person.mentioned": return ["mentioned", data.id];
    case "ticket.due_soon": return ["due_soon", null];
    case "ticket.overdue": return ["overdue", null];
    case "callback.due": return ["callback_due", null];
    case "channel.troubled": return ["channel_troubled", null];
    default: return null;
  }
}

/** Two short tones, made here: no file is fetched. */
function sound() {
  const audio = new AudioContext();
  for (const [at, pitch] of [[0, 880], [0.15, 660]]) {
    const tone = audio.createOscillator();
    const loud = audio.createGain();
    tone.frequency.value = pitch;
    loud.gain.setValueAtTime(0.1, audio.currentTime + at);
    loud.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + at + 0.14);
    tone.connect(loud).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.15);
  }
  setTimeout(() => audio.close(), 1000);
}

/** Tells of what happens, as whoever is signed in chose. */
class Notifier {
  constructor(me) {
    this.me = me;
    this.told = null;
  }

  async read() {
    // A token has no account, and nothing to choose.
    this.told = (await api.told().catch(() => null))?.told ?? null;
  }

  allowed() {
    return "Notification" in window && Notification.permission === "granted";
  }

  async happened(kind, event) {
    if (!this.told || !this.allowed()) return;
    const found = occasion(kind, event);
    if (!found) return;
    const [what, named] = found;
    if (!this.told.browser.includes(what) || event.actor?.id === this.me.id) return;
    if (named && named !== this.me.id) return;
    const ticket = event.ticket_id ? await api.ticket(event.ticket_id).catch(() => null) : null;
    if (event.ticket_id && (!ticket || ticket.status === "spam")) return;
    if (ticket && !named && what !== "new_ticket" && ticket.assignee && ticket.assignee !== this.me.id) return;
    const mine = named || (ticket?.assignee === this.me.id && what !== "new_ticket");
    if (ticket && !mine) {
      if (this.told.only_urgent && ticket.priority !== "urgent") return;
      if (this.told.queues.length && !this.told.queues.includes(ticket.queue)) return;
    }
    this.show(what, event, ticket);
  }

  show(what, event, ticket) {
    const title = say(`told.${what}`, { name: event.actor?.name ?? "", channel: event.channel ?? "" });
    // No word of the customer but the subject: others may see the screen.
    const shown = new Notification(title, {
      body: ticket ? `#${ticket.number} ${ticket.subject}` : "",
      tag: `${what}:${event.ticket_id ?? event.channel}`,
      icon: "/console/assets/icon.svg",
      silent: true,
    });
    shown.addEventListener("click", () => {
      window.focus();
      location.hash = ticket ? `#/ticket/${ticket.number}` : "#/channels";
      shown.close();
    });
    if (this.told.sound) sound();
  }
}

/** The one that tells whoever is signed in, as they chose by now. */
export async function notifier(desk) {
  desk.notifier ??= new Notifier(desk.me);
  await desk.notifier.read();
}

export function showNotifications(parent, desk) {
  return page(parent, say("notifications"), async (refresh) => {
    const [{ told, mail }, words] = await Promise.all([api.told(), api.ticketWords(), notifier(desk)]);
    const keep = async (change) => {
      try {
        await api.keepTold({ ...told, ...change, language: document.documentElement.lang.startsWith("zh") ? "zh" : "en" });
        toast(say("kept"));
      } catch (problem) {
        toast(say("failed", { why: problem.message }), { error: true });
      }
      refresh();
    };
    const toggled = (list, one, on) => (on ? [...list, one] : list.filter((other) => other !== one));
    const box = (way, what, disabled) => h("input", {
      type: "checkbox", name: `${way}.${what}`, checked: told[way].includes(what), disabled,
      "aria-label": `${say(`way.${way}`)}: ${say(`wish.${what}`)}`,
      on: { change: (event) => keep({ [way]: toggled(told[way], what, event.target.checked) }) },
    });
    const choice = (name, label, checked, change) => h("label", null,
      h("input", { type: "checkbox", name, checked, on: { change: (event) => keep(change(event.target.checked)) } }), " ", label);
    const state = "Notification" in window ? Notification.permission : "denied";
    const allow = h("button.primary.allow", { type: "button", on: { click: async () => { await Notification.requestPermission(); refresh(); } } }, say("allow_browser"));
    const rows = OCCASIONS.map((what) => h("tr", null,
      h("th", { scope: "row" }, say(`wish.${what}`)),
      h("td", null, box("browser", what, false)), h("td", null, box("mail", what, !mail))));
    return h("div.notifications", null,
      h("p", null, say(`browser.${state}`)), state === "default" ? allow : null,
      mail ? null : h("p.small", null, say("no_mail_told")),
      h("div.scroll", null, h("table", null,
        h("thead", null, h("tr", null, h("td"), h("th", { scope: "col" }, say("way.browser")), h("th", { scope: "col" }, say("way.mail")))),
        h("tbody", null, rows))),
      h("p", null, h("label", null, h("span.small", null, say("telegram_number")), " ",
        h("input", { name: "telegram", inputmode: "numeric", maxlength: 20, value: told.telegram ?? "", on: { change: (event) => keep({ telegram: event.target.value.trim() || null }) } }))),
      h("p", null, choice("sound", say("with_sound"), told.sound, (sound) => ({ sound }))),
      h("p", null, choice("only_urgent", say("only_urgent"), told.only_urgent, (only_urgent) => ({ only_urgent }))),
      words.queues.length ? h("fieldset", null, h("legend", null, say("only_queues")), words.queues.map((queue) =>
        choice(`queue.${queue}`, queue, told.queues.includes(queue), (on) => ({ queues: toggled(told.queues, queue, on) })))) : null);
  }, null);
}

// What the console says. A language is one table; to add one, add a table and its name below.

const EN = {
  "plot.known": "Known answers that went out by themselves", "known.shown": "Sent", "known.helped": "Helped", "known.escalated": "Wanted a person", "known.silent": "No word", "known.waiting": "Not yet known",
  nothing_yet: "Nothing yet", first_steps: "First steps", step_test: "Send yourself a test message", step_test_more: "It comes by the web chat, as from a customer, and is a ticket here at once.",
  step_test_none: "No web chat is configured: [channels.web] with kind = \"webchat\".", send_test: "Send a test message", open_chat: "Open the chat as a customer",
  test_message: "Hello! This is a test: do you see me?", test_sent: "Sent. It will be here in a moment…", test_arrived: "It has arrived:",
  step_channel: "Connect a channel", step_channel_more: "In tributary.toml; every key is explained in config/channels. Then check it, and let the daemon read it again.",
  step_people: "Let your colleagues in", step_people_more: "Each gets a link that signs them in once; then they choose how to sign in.",
  spark: "Messages by {channel} in the last 30 days", mentions: "Notes for me", mention: "Who is it for?", named_you: "{name} names you in a note", kind_of_message: "To whom",
  later: "Later…", send_at: "When to send", planned_undo: "Will be sent {when}", in_the_past: "That time is over.", draft_secret: "This holds a secret: it is kept nowhere.",
  length: "{length} of {most}", parts: "goes out in {n} parts", window_ends: "can be answered until {when}", window_over: "could be answered until {when}", files_max: "at most {n} files of together {size}", no_files: "no files on this channel",
  waiting_us: "Waiting for us", own_views: "My views", narrow: "Narrow", save_view: "Save as a view…", view_name: "What is the view to be called?",
  forget_view: "Forget the view {name}", forget_sure: "Forget the view {name}?", waiting_for: "Waiting for", "waiting.us": "us", "waiting.customer": "the customer",
  unread: "new", pick_one: "Mark ticket {number}", picked: "{n} marked", pick_none: "Mark none", add_tag: "Add a tag…", which_tag: "Which tag?",
  bulk_failed: "{n} were not changed: {why}", changed_meanwhile: "somebody changed them meanwhile", key_pick: "mark or unmark",
  known: "Known answers", insert: "Insert", segments: "Short messages: {n}, {encoding}, {left} left",
  calls: "Calls", nobody_calls: "Nobody wants to be called.", call_now: "Take and call", connect_me: "Ring my phone", call_ended: "Your call has ended", phone: "Number", call_due: "Due",
  "call.waiting": "wants to be called", "call.calling": "being called", "call.reached": "Reached", "call.no_answer": "No answer",
  "call.busy": "Busy", "call.voicemail": "Voicemail", "call.failed": "Call failed", "call.wrong_number": "Wrong number", "call.declined": "Not wanted",
  inbox: "Open", mine: "Mine", unassigned: "Unassigned", urgent: "Urgent", pending: "Pending",
  solved: "Solved", spam: "Spam", all: "All tickets", channels: "Channels", outbox: "Outbox",
  quarantine: "Quarantine", dashboard: "Dashboard", views: "Views", desk: "Desk",
  search: "Search tickets (/)", empty_view: "Nothing here. Well done!", more: "Load more", no_hits: "Nothing found",
  pick: "Choose a ticket, or press j", reply: "Reply", note: "Note", send: "Send", leave_note: "Leave note",
  reply_to: "Reply to {name} by {channel}…", reply_by_call: "{name} is called by {channel}, and hears this…", reply_by_sms: "Goes to {name} as an SMS, by {channel}…", note_hint: "Only agents see this…", attach: "Attach files",
  status: "Status", priority: "Priority", assignee: "Assignee", queue: "Queue", tags: "Tags", nobody: "Nobody",
  open: "open", closed: "closed", low: "low", normal: "normal", high: "high",
  "status.open": "Open", "status.pending": "Pending", "status.solved": "Solved", "status.closed": "Closed",
  "status.spam": "Spam", "priority.low": "Low", "priority.normal": "Normal", "priority.high": "High",
  "priority.urgent": "Urgent", customer: "Customer", earlier: "Other tickets", none: "none",
  whole: "Show everything", less: "Show less", formatted: "Show as formatted mail", plain: "Show as text",
  why: "Why is this here?", as_came: "As it came", sent_undo: "Sending…", undo: "Undo", undone: "Not sent; the text is back in the box",
  stale: "Somebody wrote or changed something meanwhile. Look at it, then send again.", failed: "That did not work: {why}",
  "delivery.queued": "waiting to be sent", "delivery.sending": "being sent", "delivery.sent": "sent",
  "delivery.delivered": "delivered", "delivery.read": "read", "delivery.failed": "could not be sent",
  "delivery.bounced": "came back", "delivery.held": "held back", "delivery.cancelled": "cancelled",
  "delivery.unconfirmed": "may have been sent", resend: "Send again", leave: "Leave it", cancel: "Cancel",
  hold: "Hold", release: "Release", retry: "Try again", drop: "Drop", pause: "Pause", resume: "Resume",
  next_try: "next try {when}", attempts: "{n} attempts", me: "me", take: "Take it",
  running: "running", connecting: "connecting", waiting_for_lease: "runs on another node", backing_off: "tries again soon",
  needs_human: "needs you", silent: "silent", paused: "paused", off: "off",
  kind: "Kind", state: "State", last_success: "Last success", waiting: "Waiting", today: "24 hours", name: "Name",
  in_out: "{in} in, {out} out", nothing_out: "Everything was sent.", nothing_in: "Everything could be read.",
  to: "To", when: "When", what: "What", size: "Size", reason: "Why", channel: "Channel", drop_sure: "Give this up for good? Its bytes are destroyed.",
  opened: "Tickets opened", ended: "Solved", came: "Messages in", went: "Messages out", first_answer: "First answer (median)",
  solving: "Until solved (median)", by_channel: "By channel", by_day: "By day", by_tag: "By tag", backlog: "Still open", judged: "Judgement",
  any: "any", numbers_of: "Numbers: {what}", csv: "Download as CSV", span_of_time: "Span of time",
  "plot.volumes": "What came", "plot.times": "Time until answered (hours)", "plot.backlog": "Open at the end of the day",
  "plot.satisfaction": "How customers judged", "plot.topics": "What it is about (tags)", "plot.channels": "Where it came by", days: "{n} days", offline: "Connection lost, trying again…",
  sign_out: "Sign out", keys: "Keys", key_next: "next ticket", key_prev: "previous ticket", key_open: "open it",
  key_reply: "reply", key_note: "note", key_search: "search", key_solve: "solve", key_help: "this help", key_send: "send", key_back: "back to the list",
  first_title: "Nothing has come yet",
  snoozed: "until {when}", via: "by", updated: "Changed", unsaved: "draft", close: "Close", language: "中文",
  flag_claims_ticket: "claims another ticket", flag_spoof_suspect: "sender not proven", flag_auto_reply: "auto-reply",
  flag_bounce: "bounce", flag_list: "list mail", flag_truncated: "cut", flag_unreadable: "unreadable", flag_new_participant: "new participant",
  flag_impostor: "pretends to be us", flag_phishing_link: "phishing link", flag_redacted: "secret masked", flag_encrypted: "encrypted", flag_calendar: "invitation", flag_complaint: "complaint", flag_late: "late", flag_private: "in private", flag_missed_call: "missed call", flag_answered_call: "call taken",
  people: "People", audit: "Audit trail", users: "People who work here", tokens: "API tokens", sessions: "Sessions", my_account: "My account",
  role: "Role", "role.read_only": "May look", "role.agent": "Agent", "role.admin": "Admin", sign_in: "Signs in with", mail: "Mail address",
  with_factor: "password or link, and a code", with_password: "password", with_link: "link", disabled: "disabled", add: "Add",
  new_link: "New sign-in link", sign_in_link: "Sign-in link: good once, within two days", disable: "Disable", disable_sure: "Let {name} in no more?",
  revoke: "Revoke", revoke_sure: "Revoke the token {name}? Whatever uses it stops working.", token_once: "The token: it is shown this once", kept_it: "I have it",
  since: "Since", last_used: "Last used", until: "Until", from_where: "From", this_one: "this one", end: "End",
  second_factor: "Second factor", factor_on: "A code of your authenticator is asked for since", factor_off: "Nothing but your password or link is asked for.",
  factor_set: "Set up an authenticator", factor_remove: "Remove it", factor_reset: "Reset second factor", qr: "QR code",
  scan_qr: "Scan this with your authenticator, then type the code that it shows.", or_type: "Or type this secret:", code: "Code", confirm: "Confirm",
  recovery_codes: "Recovery codes: each lets you in once without the authenticator. Keep them in a safe place.",
  who: "Who", about: "About", ticket: "Ticket", "actor.agent": "person", "actor.token": "program", "actor.contact": "customer", "actor.system": "system",
  unseal: "Unseal", unseal_why: "Why do you need to see it? Your answer stays in the trail.", sealed_file: "It stood in a file: ask for it by the API.",
  due: "answer due {when}", written_in: "Language it is written in", deleted_by: "Taken back by its sender", edited: "edited", merged: "This ticket was merged into another one.", go_there: "Go there",
};

const ZH = {
  "plot.known": "自动发送的常见解答", "known.shown": "已发送", "known.helped": "有帮助", "known.escalated": "转人工", "known.silent": "无回应", "known.waiting": "等待中",
  nothing_yet: "暂无工单", first_steps: "入门", step_test: "给自己发一条测试消息", step_test_more: "它会像客户消息一样通过网页聊天到达,并立即成为工单。",
  step_test_none: "尚未配置网页聊天:[channels.web],kind = \"webchat\"。", send_test: "发送测试消息", open_chat: "以客户身份打开聊天",
  test_message: "您好!这是一条测试消息,能看到吗?", test_sent: "已发送,马上就到…", test_arrived: "已到达:",
  step_channel: "接入渠道", step_channel_more: "编辑 tributary.toml,各项说明见 config/channels。然后检查并让服务重新读取配置。",
  step_people: "邀请同事", step_people_more: "每人会得到一个只能使用一次的登录链接,之后可自选登录方式。",
  spark: "最近 30 天通过 {channel} 收到的消息", mentions: "提到我的备注", mention: "提到谁?", named_you: "{name} 在备注中提到了您", kind_of_message: "发送对象",
  later: "稍后发送…", send_at: "发送时间", planned_undo: "将于 {when} 发送", in_the_past: "该时间已过。", draft_secret: "内容含有敏感信息:不会被保存。",
  length: "{length} / {most}", parts: "将分为 {n} 条发送", window_ends: "可回复至 {when}", window_over: "可回复时间已于 {when} 结束", files_max: "最多 {n} 个文件,共 {size}", no_files: "该渠道不支持文件",
  waiting_us: "等待我方回复", own_views: "我的视图", narrow: "筛选", save_view: "保存为视图…", view_name: "视图名称?",
  forget_view: "删除视图 {name}", forget_sure: "删除视图 {name}?", waiting_for: "等待方", "waiting.us": "我方", "waiting.customer": "客户",
  unread: "新消息", pick_one: "选择工单 {number}", picked: "已选 {n} 个", pick_none: "取消选择", add_tag: "添加标签…", which_tag: "哪个标签?",
  bulk_failed: "{n} 个未修改:{why}", changed_meanwhile: "期间有人修改过", key_pick: "选择或取消选择",
  known: "常见解答", insert: "插入", segments: "短信:{n} 条,{encoding},剩余 {left}",
  calls: "回电", nobody_calls: "没有人等待回电。", call_now: "接手并拨打", connect_me: "拨打我的电话", call_ended: "通话已结束", phone: "号码", call_due: "时间",
  "call.waiting": "等待回电", "call.calling": "通话中", "call.reached": "已接通", "call.no_answer": "无人接听",
  "call.busy": "占线", "call.voicemail": "语音信箱", "call.failed": "呼叫失败", "call.wrong_number": "号码错误", "call.declined": "不再需要",
  inbox: "待处理", mine: "我的", unassigned: "未分配", urgent: "紧急", pending: "等待中",
  solved: "已解决", spam: "垃圾", all: "全部工单", channels: "渠道", outbox: "发件箱",
  quarantine: "隔离区", dashboard: "概览", views: "视图", desk: "服务台",
  search: "搜索工单 (/)", empty_view: "这里没有工单,干得漂亮!", more: "加载更多", no_hits: "没有找到",
  pick: "选择一个工单,或按 j", reply: "回复", note: "备注", send: "发送", leave_note: "添加备注",
  reply_to: "通过 {channel} 回复 {name}…", reply_by_call: "将通过 {channel} 致电 {name} 并朗读以下内容…", reply_by_sms: "将通过 {channel} 以短信发送给 {name}…", note_hint: "只有客服可以看到…", attach: "添加附件",
  status: "状态", priority: "优先级", assignee: "负责人", queue: "队列", tags: "标签", nobody: "无人",
  "status.open": "待处理", "status.pending": "等待中", "status.solved": "已解决", "status.closed": "已关闭",
  "status.spam": "垃圾", "priority.low": "低", "priority.normal": "普通", "priority.high": "高",
  "priority.urgent": "紧急", customer: "客户", earlier: "其他工单", none: "无",
  whole: "显示全文", less: "收起", formatted: "显示原格式", plain: "显示纯文本",
  why: "为什么在这里?", as_came: "原始内容", sent_undo: "正在发送…", undo: "撤销", undone: "未发送,内容已放回输入框",
  stale: "期间有人回复或修改了此工单。请查看后再发送。", failed: "操作失败:{why}",
  "delivery.queued": "等待发送", "delivery.sending": "发送中", "delivery.sent": "已发送",
  "delivery.delivered": "已送达", "delivery.read": "已读", "delivery.failed": "发送失败",
  "delivery.bounced": "被退回", "delivery.held": "已暂留", "delivery.cancelled": "已取消",
  "delivery.unconfirmed": "可能已发送", resend: "再次发送", leave: "保持不变", cancel: "取消",
  hold: "暂留", release: "放行", retry: "重试", drop: "丢弃", pause: "暂停", resume: "恢复",
  next_try: "下次尝试 {when}", attempts: "已尝试 {n} 次", me: "我", take: "由我处理",
  running: "运行中", connecting: "连接中", waiting_for_lease: "在其他节点运行", backing_off: "稍后重试",
  needs_human: "需要处理", silent: "无消息", paused: "已暂停", off: "关闭",
  kind: "类型", state: "状态", last_success: "最近成功", waiting: "等待", today: "24 小时", name: "名称",
  in_out: "收 {in},发 {out}", nothing_out: "全部已发送。", nothing_in: "全部可以读取。",
  to: "收件人", when: "时间", what: "内容", size: "大小", reason: "原因", channel: "渠道", drop_sure: "确定丢弃?原始内容将被销毁。",
  opened: "新工单", ended: "已解决", came: "收到消息", went: "发出消息", first_answer: "首次回复(中位数)",
  solving: "解决时间(中位数)", by_channel: "按渠道", by_day: "按天", by_tag: "按标签", backlog: "未解决", judged: "评价",
  any: "全部", numbers_of: "数据:{what}", csv: "下载 CSV", span_of_time: "时间范围",
  "plot.volumes": "工单与消息", "plot.times": "回复与解决时间(小时)", "plot.backlog": "每日结束时未解决",
  "plot.satisfaction": "客户评价", "plot.topics": "主题(标签)", "plot.channels": "来源渠道", days: "{n} 天", offline: "连接中断,正在重连…",
  sign_out: "退出", keys: "快捷键", key_next: "下一个工单", key_prev: "上一个工单", key_open: "打开",
  key_reply: "回复", key_note: "备注", key_search: "搜索", key_solve: "标记为已解决", key_help: "帮助", key_send: "发送", key_back: "返回列表",
  first_title: "还没有任何消息",
  snoozed: "直到 {when}", via: "通过", updated: "更新", unsaved: "草稿", close: "关闭", language: "English",
  flag_claims_ticket: "声称属于其他工单", flag_spoof_suspect: "发件人未验证", flag_auto_reply: "自动回复",
  flag_bounce: "退信", flag_list: "邮件列表", flag_truncated: "已截断", flag_unreadable: "无法读取", flag_new_participant: "新参与者",
  flag_impostor: "冒充我们", flag_phishing_link: "钓鱼链接", flag_redacted: "敏感信息已遮盖", flag_encrypted: "已加密", flag_calendar: "日程邀请", flag_complaint: "投诉", flag_late: "迟到", flag_private: "私信", flag_missed_call: "未接来电", flag_answered_call: "已接听",
  people: "成员", audit: "审计记录", users: "团队成员", tokens: "API 令牌", sessions: "登录会话", my_account: "我的账号",
  role: "角色", "role.read_only": "只读", "role.agent": "客服", "role.admin": "管理员", sign_in: "登录方式", mail: "邮箱地址",
  with_factor: "密码或链接,加验证码", with_password: "密码", with_link: "链接", disabled: "已停用", add: "添加",
  new_link: "新的登录链接", sign_in_link: "登录链接:两天内有效,只能使用一次", disable: "停用", disable_sure: "不再允许 {name} 登录?",
  revoke: "吊销", revoke_sure: "吊销令牌 {name}?使用它的程序将停止工作。", token_once: "令牌:只显示这一次", kept_it: "已保存",
  since: "开始时间", last_used: "最近使用", until: "有效期至", from_where: "来源", this_one: "当前会话", end: "结束",
  second_factor: "两步验证", factor_on: "两步验证已开启:", factor_off: "登录时只需要密码或链接。",
  factor_set: "设置身份验证器", factor_remove: "移除", factor_reset: "重置两步验证", qr: "二维码",
  scan_qr: "请用身份验证器扫描,然后输入它显示的验证码。", or_type: "或者输入密钥:", code: "验证码", confirm: "确认",
  recovery_codes: "恢复码:没有验证器时,每个可登录一次。请妥善保管。",
  who: "操作者", about: "对象", ticket: "工单", "actor.agent": "成员", "actor.token": "程序", "actor.contact": "客户", "actor.system": "系统",
  unseal: "解封查看", unseal_why: "为什么需要查看？您的回答会保留在记录中。", sealed_file: "它在文件中：请通过 API 获取。",
  due: "应在 {when} 回复", written_in: "所用语言", deleted_by: "发件人已撤回", edited: "已编辑", merged: "此工单已合并到另一个工单。", go_there: "前往",
};

const TABLES = { en: EN, zh: ZH };
const KEPT = "tributary.language";

/** The language that was chosen, else the browser's. */
export const language = localStorage.getItem(KEPT) ?? (navigator.language?.startsWith("zh") ? "zh" : "en");
const table = TABLES[language] ?? EN;
document.documentElement.lang = language === "zh" ? "zh-CN" : "en";

/** Changes the language and begins anew. */
export function switchLanguage() {
  localStorage.setItem(KEPT, language === "zh" ? "en" : "zh");
  location.reload();
}

/** The words for a key, with `{name}` filled in; a key without words stands for itself. */
export function say(key, values = {}) {
  const text = table[key] ?? EN[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto", style: "narrow" });
const absolute = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** "5 min. ago". */
export function ago(time) {
  const seconds = (new Date(time) - Date.now()) / 1000;
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(0, "minute");
}

/** The whole date and time. */
export const moment = (time) => absolute.format(new Date(time));

/** "3 h 20 min" of seconds. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return say("days", { n: Math.round(minutes / 1440) });
}

/** "1.2 MB". */
export function bytes(count) {
  const units = ["B", "KB", "MB", "GB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) {
    count /= 1000;
    at += 1;
  }
  return `${count >= 10 || at === 0 ? Math.round(count) : count.toFixed(1)} ${units[at]}`;
}

// The one script tag: <script src="https://…/widget.js" data-channel="web" async></script>
// Loads the rest from where it came itself. If the page's own rules forbid that, the page stays as it is.
(() => {
  const script = document.currentScript;
  if (!script || window.tributary) return;
  const base = script.src.replace(/\/widget\.js([?#].*)?$/, "");
  const waiting = [];
  const later = (name) => (...args) => waiting.push([name, args]);
  window.tributary = Object.fromEntries(
    ["open", "close", "identify", "signOut"].map((name) => [name, later(name)]),
  );
  const begin = () =>
    import(`${base}/widget/__VERSION__/chat.js`)
      .then((chat) => {
        window.tributary = chat.start(base, { ...script.dataset });
        for (const [name, args] of waiting) window.tributary[name](...args);
      })
      .catch(() => {});
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin, { once: true });
})();

// Puts the widget on the page to try it on, as a customer's page would.
const wanted = new URLSearchParams(location.search);
const script = document.createElement("script");
script.src = "/widget.js";
script.async = true;
script.dataset.channel = document.currentScript.dataset.channel;
for (const name of ["language", "scheme", "open", "jwt", "userId", "userHash", "position"]) {
  if (wanted.has(name)) script.dataset[name] = wanted.get(name);
}
for (const place of document.querySelectorAll(".here")) place.textContent = location.origin;
document.body.append(script);

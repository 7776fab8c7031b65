// Builds elements. The only way in which text gets into the page: as text, never as markup.

/**
 * @param {string} name tag, with classes: "div.bubble.in"
 * @param {object} [props] attributes; `on` holds listeners, `data` data attributes; null leaves one out
 * @param {...(Node|string|null|false|Array)} children
 */
export function h(name, props, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (key === "data") {
      Object.assign(element.dataset, value);
    } else if (key === "class") {
      element.classList.add(...value.split(" ").filter(Boolean));
    } else if (key === "value") {
      element.value = value;
    } else {
      element.setAttribute(key, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element of a drawing. */
export function shape(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** Puts these in the place of all that is in there. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

/** Makes these the children of a place; what is among them already is not taken out in between. */
export function settle(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let at = parent.firstChild;
  for (const child of children) {
    if (child === at) at = at.nextSibling;
    else parent.insertBefore(child, at);
  }
}

/** Opens a dialog; when it is closed, whichever way, it is gone. */
export function openBox(box, closed) {
  box.addEventListener("close", () => {
    box.remove();
    closed?.();
  });
  document.body.append(box);
  box.showModal();
}

/** Says something for a while; with an action, offers a button. */
export function toast(text, { action, label, seconds = 5, error = false } = {}) {
  const box = h("div.toast", { class: error ? "error" : "" }, h("span", null, text));
  const close = () => box.remove();
  if (action) {
    box.append(h("button.link", { type: "button", on: { click: () => { close(); action(); } } }, label));
  }
  document.getElementById("toasts").append(box);
  const timer = setTimeout(close, seconds * 1000);
  return () => { clearTimeout(timer); close(); };
}

// For who does not see the page, or uses no mouse: what changed is said, and the keyboard stays where it was.
"use strict";

// A log is read line by line, the same words once more as well; a status that is written anew may not be.
const said = (text) => {
  const region = document.getElementById("said");
  const line = document.createElement("p");
  line.textContent = text;
  region.append(line);
  while (region.children.length > 3) region.firstChild.remove();
};

document.addEventListener("htmx:afterSwap", (event) => {
  const part = event.target.querySelector && event.target.querySelector("[data-say]");
  if (part) said(part.dataset.say);
});

// What had the focus may be replaced by what it asked for, be hidden, or be disabled while it waits: the browser then
// begins at the top of the page. It goes back, or to the part that has come.
let asking = null;

const isLost = () => !document.activeElement || document.activeElement === document.body;

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail.requestConfig;
  if (!isLost() && elt.contains(document.activeElement)) asking = { elt, focused: document.activeElement };
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (!asking || asking.elt !== event.detail.requestConfig.elt) return;
  const { focused } = asking;
  asking = null;
  if (!isLost()) return;
  focused.focus({ preventScroll: true });
  const part = event.detail.target;
  if (!isLost() || !part) return;
  if (!part.hasAttribute("tabindex")) part.tabIndex = -1;
  part.focus({ preventScroll: true });
});

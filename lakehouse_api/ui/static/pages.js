// What markup alone cannot do: cancelling, upload progress, boxes that stand for one filter, keys of lists.
"use strict";

// What waits for an answer can be cancelled: the server stops its work when nobody waits any more.
document.addEventListener("click", (event) => {
  const button = event.target.closest && event.target.closest("[data-abort]");
  if (!button) return;
  htmx.trigger(button.dataset.abort, "htmx:abort");
  const form = document.querySelector(button.dataset.abort);
  const note = document.createElement("p");
  note.className = "empty";
  note.textContent = "It was cancelled.";
  document.querySelector(form.getAttribute("hx-target")).replaceChildren(note);
  said(note.textContent);
  const ask = form.querySelector("button:enabled:not([data-abort])");
  if (ask) ask.focus(); // the button that was pressed is gone
});

// A change that leads to another page is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches || !form.matches("form[method=post]:not([hx-post], [data-download])")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("[data-sent]").forEach((form) => delete form.dataset.sent));

// What is a link without a script and a button with one is pressed by the space bar, as buttons are.
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !event.target.matches || !event.target.matches("a[role=button]")) return;
  event.preventDefault();
  event.target.click();
});

// Ctrl+Enter sends the form one writes in, by the button of the part one writes in; of several none is meant.
document.addEventListener("keydown", (event) => {
  const form = event.target.form;
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !form) return;
  const part = event.target.closest("details");
  const buttons = (part && form.contains(part) ? part : form).querySelectorAll("button:enabled:not([type=button])");
  if (buttons.length === 1) buttons[0].click();
});

// What refuses a form stands in the form where it has a place for it: what was written, and the rest of the page, stays.
document.addEventListener("htmx:beforeSwap", (event) => {
  const place = event.detail.isError && event.detail.requestConfig.elt.querySelector("[data-refused]");
  if (place) event.detail.target = place;
});

// A download takes the statement as it stands in the box now.
document.addEventListener("submit", (event) => {
  if (event.target.matches && event.target.matches("[data-download]")) {
    event.target.elements.sql.value = document.getElementById("sql").value;
  }
});

// A field of two corpora is one filter: its boxes are ticked and cleared together, before the form is sent.
document.addEventListener("change", (event) => {
  const one = event.target;
  const facets = one.closest && one.closest("#facets");
  if (!facets || !one.name) return;
  facets.querySelectorAll("input").forEach((other) => {
    if (other === one || other.name !== one.name) return;
    if (other.type !== "checkbox") other.value = one.value;
    else if (other.value === one.value) other.checked = one.checked;
  });
}, true);

// Upload: the bytes that have left.
document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = document.getElementById("upload-progress");
  if (!bar || !event.detail.lengthComputable) return;
  bar.hidden = false;
  bar.max = event.detail.total;
  bar.value = event.detail.loaded;
  document.getElementById("upload-percent").textContent =
    `${Math.floor((100 * event.detail.loaded) / Math.max(1, event.detail.total))} % sent`;
});

// A list that is worked through by keys: j and k move and open; a, e, r, o press what bears them, of the item that shows.
// A switch turns them off: who speaks to the page would press them by what is said.
const keysSwitch = document.querySelector("[data-keys-switch]");
if (keysSwitch) {
  keysSwitch.closest("p").hidden = false;
  keysSwitch.checked = localStorage.getItem("keys") !== "off";
  keysSwitch.addEventListener("change", () => localStorage.setItem("keys", keysSwitch.checked ? "on" : "off"));
}

function rows() { return [...document.querySelectorAll("[data-keys] [data-item]")]; }

let place = 0; // of the row that is marked: once it is decided, the next one stands there

function mark(row) {
  place = Math.max(0, rows().indexOf(row));
  rows().forEach((one) => one.removeAttribute("aria-current"));
  row.setAttribute("aria-current", "true");
}

function choose(row) {
  mark(row);
  const link = row.querySelector("a");
  link.focus();
  htmx.ajax("GET", link.getAttribute("href"), "#item");
}

document.addEventListener("click", (event) => {
  const row = event.target.closest && event.target.closest("[data-keys] [data-item]");
  if (row) mark(row);
});

document.addEventListener("keydown", (event) => {
  if (!keysSwitch || !keysSwitch.checked || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  const all = rows();
  const at = all.findIndex((row) => row.hasAttribute("aria-current"));
  if (event.key === "j" || event.key === "k") {
    const next = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))];
    if (next) { event.preventDefault(); choose(next); }
    return;
  }
  if (!/^[aero]$/.test(event.key)) return;
  // Only what is seen is decided: the item that shows must be the one that is chosen.
  const shown = document.querySelector("[data-shown]");
  if (!shown || (at >= 0 && all[at].dataset.item !== shown.dataset.shown)) return;
  const button = shown.querySelector(`[data-key="${event.key}"]`);
  if (!button) return;
  event.preventDefault();
  htmx.process(shown); // keys are quicker than a part settles, and a plain form would leave the page
  button.click();
  if (event.key === "e") shown.querySelector("textarea").focus();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id === "queue") {
    const all = rows();
    const refusal = event.target.querySelector("[role=alert]");
    const item = document.getElementById("item");
    if (refusal && writtenIn(item).length) item.querySelector("[data-refused]").replaceChildren(refusal); // to be read, and copied
    else if (all.length) choose(all[Math.min(place, all.length - 1)]);
    else item.replaceChildren(); // what is decided is not offered again
  }
});

// A server that is away leaves what it said before on the page: that this may be old can be seen, until it answers.
function away(isAway) {
  const note = document.getElementById("away");
  if (note.hidden === !isAway) return;
  note.hidden = !isAway;
  note.textContent = isAway ? "The server did not answer. What stands here may be old; try again in a moment." : "";
}
["htmx:sendError", "htmx:sseError"].forEach((name) => document.addEventListener(name, () => away(true)));
["htmx:beforeOnLoad", "htmx:sseOpen"].forEach((name) => document.addEventListener(name, () => away(false)));

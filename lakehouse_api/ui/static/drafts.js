// What is written about an item of the triage stays while others, or the run behind it, are looked at: the tab keeps it
// until it is sent, for the same person alone. The address names the item, so that the way back leads to it.
"use strict";

const DRAFTS = "drafts";
let onItsWay = null; // the form that was sent
let isLeaving = false;

function drafts() {
  const kept = JSON.parse(sessionStorage.getItem(DRAFTS) || "null");
  return kept && kept.who === document.body.dataset.who ? kept.items : {};
}

function keepDraft() {
  if (isLeaving) return;
  const shown = document.querySelector("#item [data-shown]");
  const form = shown && shown.querySelector("form");
  if (!form) return;
  const { [shown.dataset.shown]: _, ...items } = drafts();
  const fields = writtenIn(form).map(keptOf);
  const queue = document.getElementById("queue");
  const waits = !queue || queue.querySelector(`[data-item="${shown.dataset.shown}"]`); // what is decided is not listed
  if (fields.length && waits && form !== onItsWay) items[shown.dataset.shown] = fields;
  sessionStorage.setItem(DRAFTS, JSON.stringify({ who: document.body.dataset.who, items }));
}

function takeDraft() {
  const shown = document.querySelector("#item [data-shown]");
  if (!shown) return;
  if (document.getElementById("queue")) history.replaceState(history.state, "", `#${shown.dataset.shown}`);
  const form = shown.querySelector("form");
  const fields = drafts()[shown.dataset.shown];
  if (form && fields) putBack(form, fields);
}

document.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.target.id === "item") keepDraft(); });
document.addEventListener("htmx:afterSwap", (event) => { // at once: a key that comes before it settles has the focus
  if (event.target.id !== "item") return;
  takeDraft();
  const shown = event.target.querySelector("[data-shown]");
  if (!shown) return;
  shown.focus({ preventScroll: true }); // what is opened is read next
  const { top } = shown.getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) shown.scrollIntoView({ block: "start" }); // where there is little room it is below the list
});
addEventListener("pagehide", keepDraft);
addEventListener("pageshow", () => { onItsWay = null; isLeaving = false; });

// What is sent is no draft any more, unless it did not arrive; who logs out leaves none to the next.
document.addEventListener("submit", (event) => {
  if (event.target.matches("form.who")) {
    isLeaving = true;
    sessionStorage.removeItem(DRAFTS);
    sessionStorage.removeItem(KEPT);
  }
  if (!event.target.closest("[data-shown]")) return;
  onItsWay = event.target;
  keepDraft();
});
document.addEventListener("htmx:afterRequest", (event) => { if (!event.detail.successful) onItsWay = null; });

document.addEventListener("DOMContentLoaded", () => {
  takeDraft(); // of an item that is a page of its own
  const queue = document.getElementById("queue");
  const link = queue && /^#[0-9a-f]{32}$/.test(location.hash) && queue.querySelector(`[data-item="${location.hash.slice(1)}"] a`);
  if (link) link.click();
});

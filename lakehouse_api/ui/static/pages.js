// What markup alone cannot do: the history of queries (kept in this browser alone), upload progress, keys of lists.
"use strict";

const said = (text) => { document.getElementById("said").textContent = text; };

// The history of the SQL workbench: statements may name people, so the server keeps none of them.
// Two people at one browser do not see each other's.
const HISTORY = `lakehouse.sql.history.${document.body.dataset.who}`;
const MOST = 50;

function remembered() {
  try { return JSON.parse(localStorage.getItem(HISTORY)) || []; } catch { return []; }
}

function showHistory() {
  const list = document.getElementById("sql-history");
  if (!list) return;
  const statements = remembered();
  list.replaceChildren(...statements.map((text) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet mono";
    button.textContent = text.length > 120 ? text.slice(0, 120) + "…" : text;
    button.addEventListener("click", () => {
      const box = document.getElementById("sql");
      box.value = text;
      box.focus();
    });
    item.append(button);
    return item;
  }));
  document.getElementById("sql-history-empty").hidden = statements.length > 0;
}

document.addEventListener("submit", (event) => {
  const box = event.target.querySelector && event.target.querySelector("#sql");
  if (!box || !box.value.trim()) return;
  const kept = [box.value, ...remembered().filter((one) => one !== box.value)].slice(0, MOST);
  localStorage.setItem(HISTORY, JSON.stringify(kept));
  showHistory();
});

document.addEventListener("submit", (event) => {
  if (event.target.matches && event.target.matches(".who")) localStorage.removeItem(HISTORY);
});

// Ctrl+Enter sends the form one writes in.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) event.target.form.requestSubmit();
});

// A download takes the statement as it stands in the box now.
document.addEventListener("submit", (event) => {
  if (event.target.matches && event.target.matches("[data-download]")) {
    event.target.elements.sql.value = document.getElementById("sql").value;
  }
});

// What an upload is to become stands in its address: the body is the file alone.
document.addEventListener("htmx:configRequest", (event) => {
  const form = event.target;
  if (!form.matches || !form.matches("[data-upload]")) return;
  const fields = new URLSearchParams();
  form.querySelectorAll("[data-query]").forEach((one) => {
    if (one.type !== "checkbox" || one.checked) fields.set(one.dataset.query, one.value);
  });
  event.detail.path += `?${fields}`;
});

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
function rows() { return [...document.querySelectorAll("[data-keys] [data-item]")]; }

function mark(row) {
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
  if (!document.querySelector("[data-keys]") || event.ctrlKey || event.metaKey || event.altKey) return;
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
  showHistory();
  if (event.target.id === "queue" && rows().length) choose(rows()[0]);
  const heading = event.target.querySelector && event.target.querySelector("[data-say]");
  if (heading) said(heading.dataset.say);
});
document.addEventListener("htmx:sendError", () => said("The server did not answer."));
document.addEventListener("DOMContentLoaded", showHistory);

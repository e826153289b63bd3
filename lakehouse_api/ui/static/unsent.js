// What is written stays when a session ends under it, or when it is refused: the tab keeps it over the login, or until
// the form is gone back to, for the same person alone.
"use strict";

const KEPT = "unsent";
const WRITABLE = "textarea, select, input:not([type=hidden], [type=password], [type=file])";

function isWritten(field) {
  if (isBox(field)) return field.checked !== field.defaultChecked;
  if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected));
  return field.value !== field.defaultValue;
}

function isBox(field) { return field.type === "checkbox" || field.type === "radio"; }

function writtenIn(part) { return [...part.querySelectorAll(WRITABLE)].filter((field) => field.name && isWritten(field)); }

function loginForm() { return document.querySelector("form[action$='/ui/login']"); }

function keptOf(field) {
  return {
    name: field.name, label: field.labels && field.labels[0] ? field.labels[0].textContent : field.name,
    value: field.value, checked: field.checked, isBox: isBox(field),
  };
}

function thisPage() { return location.pathname + location.search; }

function keepWritten() {
  const forms = [...document.querySelectorAll("main form")].map((form) => ({
    action: form.getAttribute("action"),
    fields: writtenIn(form).map(keptOf),
  })).filter((form) => form.fields.length);
  const shown = document.querySelector("[data-shown]");
  const kept = { who: document.body.dataset.who, page: thisPage(), item: shown && shown.dataset.shown, forms };
  if (forms.length) sessionStorage.setItem(KEPT, JSON.stringify(kept));
}

function putBack(form, fields) {
  fields.forEach((kept) => {
    const field = [...form.querySelectorAll(WRITABLE)].find(
      (one) => one.name === kept.name && (!kept.isBox || one.value === kept.value));
    if (!field) return;
    if (kept.isBox) field.checked = kept.checked;
    else field.value = kept.value;
    const part = field.closest("details");
    if (part) part.open = true;
  });
}

// What has no form to go back to, as that of a step that came of one before it, can still be read and copied.
function tell(forms, why) {
  const note = document.createElement("div");
  note.className = "empty";
  note.setAttribute("role", "alert");
  const head = document.createElement("p");
  head.textContent = `${why} What was written is here, and has not been sent.`;
  const texts = forms.flatMap((form) => form.fields).filter((field) => !field.isBox).map((field) => {
    const text = document.createElement("pre");
    text.tabIndex = 0;
    text.setAttribute("aria-label", field.label);
    text.textContent = `${field.label}: ${field.value}`;
    return text;
  });
  note.append(head, ...texts);
  document.querySelector("main h1").after(note);
}

function bringBack(kept) {
  const why = kept.isRefused ? "It was refused." : "The session had ended.";
  const fill = () => {
    const forms = [...document.querySelectorAll("main form")];
    return kept.forms.filter((one) => {
      const form = forms.find((other) => other.getAttribute("action") === one.action);
      if (form) putBack(form, one.fields);
      return !form;
    });
  };
  const left = fill();
  const link = left.length && kept.item && document.querySelector(`[data-item="${CSS.escape(kept.item)}"] a`);
  if (!link) { tell(left, why); return; }
  const shows = (event) => { // the item's form comes once the item is opened
    if (event.target.id !== "item") return;
    document.removeEventListener("htmx:afterSettle", shows);
    tell(fill(), why);
  };
  document.addEventListener("htmx:afterSettle", shows);
  link.click();
}

document.addEventListener("DOMContentLoaded", () => {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
  const login = loginForm();
  const isRefused = document.querySelector("[data-refused-form]") !== null;
  if (!login && !isRefused) sessionStorage.removeItem(KEPT);
  if (!kept) return;
  if (isRefused) {
    sessionStorage.setItem(KEPT, JSON.stringify({ ...kept, isLeft: true, isRefused }));
    return;
  }
  if (!login) {
    if (kept.isLeft && kept.who === document.body.dataset.who && kept.page === thisPage()) bringBack(kept);
    return;
  }
  sessionStorage.setItem(KEPT, JSON.stringify({ ...kept, isLeft: true }));
  const root = login.getAttribute("action").slice(0, -"/ui/login".length);
  login.elements.next.value = kept.page.slice(root.length); // a change that was refused leads to the first page else
  const alert = login.querySelector("[role=alert] p");
  if (alert) alert.textContent += " What was written comes back then.";
});

// A plain form leaves the page before it is known that the session is over; the next page forgets what was sent.
document.addEventListener("submit", (event) => {
  if (event.target.method === "post" && event.target.closest("main") && !loginForm()) keepWritten();
});
document.addEventListener("htmx:beforeOnLoad", (event) => { if (event.detail.xhr.status === 401) keepWritten(); });

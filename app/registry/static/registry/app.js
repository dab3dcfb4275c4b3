// Small manners of the pages that need a script; everything works without, too.
"use strict";

document.addEventListener("htmx:beforeRequest", () => document.getElementById("busy").classList.add("on"));
document.addEventListener("htmx:afterRequest", () => document.getElementById("busy").classList.remove("on"));

// A confirmation in the page's words: <form data-confirm="…">.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
  }
});

// "/" puts the cursor into the page's search field.
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, textarea, select");
  const field = document.querySelector("input[type=search]");
  if (event.key === "/" && !typing && field) {
    event.preventDefault();
    field.focus();
  }
});

// Going back to a search finds its words again: they are kept for this tab alone, never in an address,
// and forgotten at the login page.
const REMEMBERED = "registry-search";
document.addEventListener("DOMContentLoaded", () => {
  if (document.querySelector(".login")) {
    sessionStorage.removeItem(REMEMBERED);
  }
  const field = document.querySelector("form[data-remember] input[type=search]");
  if (!field) {
    return;
  }
  field.addEventListener("input", () => sessionStorage.setItem(REMEMBERED, field.value));
  const [navigation] = performance.getEntriesByType("navigation");
  const words = sessionStorage.getItem(REMEMBERED);
  if (navigation && navigation.type === "back_forward" && words && !field.value) {
    field.value = words;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
});

// A photo that can't be fetched leaves the placeholder behind it.
document.addEventListener(
  "error",
  (event) => {
    if (event.target.matches && event.target.matches("img.photo")) {
      event.target.remove();
    }
  },
  true,
);

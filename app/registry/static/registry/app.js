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

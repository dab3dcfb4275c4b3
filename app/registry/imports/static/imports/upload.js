// Dropping a workbook, looking at its size before it is sent, and how much of it is sent.
"use strict";

(() => {
  const form = document.getElementById("upload");
  const drop = document.getElementById("drop");
  const input = form.querySelector("input[type=file]");
  const title = document.getElementById("drop-title");
  const error = document.getElementById("drop-error");
  const button = document.getElementById("send");
  const sent = document.getElementById("sent");
  const invitation = title.textContent;

  const problemOf = (file) => {
    if (!file.name.toLowerCase().endsWith(".xlsx")) {
      return form.dataset.notXlsx;
    }
    return file.size > Number(form.dataset.max) ? form.dataset.tooLarge : "";
  };

  const show = () => {
    const file = input.files[0];
    const problem = file ? problemOf(file) : "";
    title.textContent = file ? `${file.name}（${(file.size / 1048576).toFixed(1)} MB）` : invitation;
    error.textContent = problem;
    drop.classList.toggle("chosen", Boolean(file) && !problem);
    button.disabled = Boolean(problem);
    return Boolean(file) && !problem;
  };

  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.remove("over");
    });
  }
  drop.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      show();
    }
  });
  input.addEventListener("change", show);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!show()) {
      return;
    }
    const request = new XMLHttpRequest();
    const restore = (text) => {
      error.textContent = text;
      button.disabled = false;
      sent.hidden = true;
    };
    button.disabled = true;
    sent.hidden = false;
    request.upload.addEventListener("progress", (progress) => {
      sent.value = progress.lengthComputable ? (100 * progress.loaded) / progress.total : 0;
    });
    request.addEventListener("load", () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // an error page of the server in front: the words below
      }
      if (answer.address) {
        window.location.assign(answer.address);
      } else if (answer.error) {
        restore(answer.error);
      } else {
        restore(request.status === 413 ? form.dataset.tooLarge : form.dataset.failed);
      }
    });
    request.addEventListener("error", () => restore(form.dataset.failed));
    request.open("POST", form.action);
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    request.send(new FormData(form));
  });
})();

// Comfort only: every page works without it.
"use strict";

const menu = document.querySelector("button.menu");
if (menu) {
  const fold = (open) => {
    menu.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("open", open);
  };
  menu.addEventListener("click", () => fold(menu.getAttribute("aria-expanded") !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") {
      fold(false);
      menu.focus();
    }
  });
}

for (const field of document.querySelectorAll("input[data-find]")) {
  const list = document.getElementById(field.getAttribute("list"));
  let waiting = 0;
  let latest = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const asked = ++latest;
      const answer = await fetch(`${field.dataset.find}?text=${encodeURIComponent(field.value)}`);
      if (!answer.ok || asked !== latest) return;
      list.replaceChildren(...(await answer.json()).map((id) => new Option(id, id)));
    }, 150);
  });
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.done;
  });
}

// One question at a time: what was opened before closes.
for (const one of document.querySelectorAll("details.sure")) {
  one.addEventListener("toggle", () => {
    if (!one.open) return;
    for (const other of document.querySelectorAll("details.sure[open]")) if (other !== one) other.open = false;
  });
}

// Copies a draft with one tap; without this script its text can be selected in the box.
"use strict";
for (const button of document.querySelectorAll("button[data-copy]")) {
  const box = document.getElementById(button.dataset.copy);
  const told = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    box.select();
    try {
      await navigator.clipboard.writeText(box.value);
    } catch {
      document.execCommand("copy"); // plain http has no clipboard
    }
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = told; }, 2000);
  });
}

// The keyboard on the desk: see the list that "?" opens.
"use strict";
(() => {
  const root = document.currentScript.dataset.root;
  const help = document.getElementById("keys");
  const rooms = { i: "/cases", b: "/crises", m: "/mentions" };
  let going = 0;

  const rows = () => [...document.querySelectorAll("[data-row] a[data-open], [data-row] h3 a")];
  const here = () => document.activeElement.closest("[data-row]");

  function move(by) {
    const all = rows();
    const at = all.findIndex((link) => link.closest("[data-row]") === here());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next?.focus();
    next?.closest("[data-row]").scrollIntoView({ block: "nearest" });
  }

  function find() {
    const field = document.getElementById("q");
    if (!field) return location.assign(`${root}/cases#q`);
    field.focus();
    field.select();
  }

  const keys = {
    j: () => move(1),
    k: () => move(-1),
    o: () => rows().find((link) => link.closest("[data-row]") === here())?.click(),
    c: () => (document.querySelector("[data-row]") ? here() : document)?.querySelector("[data-key=c]")?.click(),
    "/": find,
    "?": () => help.showModal(),
    g: () => { going = Date.now() + 1500; },
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || help.open || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const gone = Date.now() < going && rooms[event.key];
    const act = gone ? () => location.assign(root + gone) : Object.hasOwn(keys, event.key) && keys[event.key];
    going = 0;
    if (!act) return;
    event.preventDefault();
    act();
  });

  const button = document.getElementById("help");
  button.hidden = false;
  button.onclick = () => help.showModal();
  if (location.hash === "#q") find();
})();

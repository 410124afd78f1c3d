// Keeps an open page up to date: hears that something changed, fetches the page anew and swaps the parts that differ.
"use strict";
(() => {
  const script = document.currentScript.dataset;
  const shown = document.body.dataset;
  const says = document.getElementById("live");
  const address = shown.url || location.href;
  const about = (shown.about || "").split(" ").filter(Boolean);
  const title = document.title;
  const pace = () => (document.hidden ? 15000 : 4000); // at least so long between two fetches
  if (!about.length || !window.EventSource) return;

  let source, resting, last = script.since, failures = 0, composing = false;
  let fetching = false, again = false, fetched = -Infinity, timer, unseen = 0, known = rows(document);

  function rows(page) {
    return new Set([...page.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
  }

  function say(words, act) {
    const item = document.createElement(act ? "button" : "p");
    item.textContent = words;
    if (act) item.onclick = act;
    says.replaceChildren(...(words ? [item] : []));
    if (words === says.dataset.changed) setTimeout(() => item.remove(), 8000);
  }

  function count(number) {
    unseen = number;
    document.title = (number ? `(${number}) ` : "") + title;
  }

  // What a person is writing stays; where the focus was and what was open is so again.
  const name = (field) => [field.tagName, field.form?.action, field.name, field.closest("details")?.dataset.key, field.getAttribute("href")].join();
  const written = (part) => [...part.querySelectorAll("textarea, select, input:not([type=hidden])")].some((field) =>
    field.options ? [...field.options].some((one) => one.selected !== one.defaultSelected) && field.value : field.value !== field.defaultValue);
  const bare = (part) => {
    const copy = part.cloneNode(true);
    copy.querySelectorAll("input[type=hidden]").forEach((field) => field.remove());
    copy.querySelectorAll("button").forEach((one) => one.removeAttribute("value"));
    copy.querySelectorAll("details").forEach((one) => one.removeAttribute("open"));
    return copy;
  };

  function swap(part, fresh) {
    if (bare(part).isEqualNode(bare(fresh))) return false;
    if (written(part)) {
      say(says.dataset.kept);
      return false;
    }
    const focus = part.contains(document.activeElement) && name(document.activeElement);
    const open = new Set([...part.querySelectorAll("details[open]")].map((one) => one.dataset.key));
    part.replaceChildren(...fresh.childNodes);
    part.querySelectorAll("details").forEach((one) => { one.open ||= open.has(one.dataset.key); });
    if (focus) [...part.querySelectorAll("a, button, summary, input, textarea, select")].find((one) => name(one) === focus)?.focus({ preventScroll: true });
    return true;
  }

  // A list keeps its order under the finger; new rows wait behind the bar.
  function merge(list, fresh) {
    const theirs = new Map([...fresh.querySelectorAll("[data-row]")].map((row) => [row.dataset.row, row]));
    for (const row of list.querySelectorAll("[data-row]")) {
      const other = theirs.get(row.dataset.row);
      theirs.delete(row.dataset.row);
      if (other) {
        delete row.dataset.gone;
        swap(row, other);
      } else row.dataset.gone = says.dataset.gone;
    }
    if (!theirs.size) return;
    count(theirs.size);
    say(says.dataset.fresh.replace("{n}", theirs.size), () => location.assign(address));
  }

  function apply(page) {
    const lists = document.querySelectorAll("[data-list]");
    lists.forEach((list, n) => {
      const fresh = page.querySelectorAll("[data-list]")[n];
      if (fresh) merge(list, fresh);
    });
    let changed = false;
    for (const part of document.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (fresh && swap(part, fresh)) changed = true;
    }
    const now = document.querySelector("header time");
    now.replaceWith(page.querySelector("header time") || now);
    if (lists.length || !changed) return;
    const fresh = [...rows(page)].filter((row) => !known.has(row)).length;
    known = rows(page);
    if (document.hidden) count(unseen + (fresh || 1));
    return changed;
  }

  async function refresh(tell) {
    if (fetching || composing) { again = true; return; }
    fetching = true;
    again = false;
    try {
      const answer = await fetch(address);
      if (answer.redirected && new URL(answer.url).pathname.endsWith("/login")) {
        stop();
        resting = true;
        say(says.dataset.out, () => location.reload());
      } else if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (apply(page) && tell && !says.textContent) say(says.dataset.changed);
      }
    } catch { /* the next event or the next minute tries again */ }
    fetching = false;
    fetched = performance.now();
    if (again) soon();
  }

  function soon() {
    again = true;
    clearTimeout(timer);
    timer = setTimeout(() => refresh(true), Math.max(0, fetched + pace() - performance.now()));
  }

  function concerns(news) {
    return news.all || about.some((one) => {
      const [subject, number] = one.split(":");
      return number ? number in news[subject] : Object.keys(news[subject]).length;
    });
  }

  function stop() {
    source?.close();
    source = null;
  }

  function connect() {
    stop();
    resting = false;
    source = new EventSource(`${script.live}?since=${last}`);
    let opened = Infinity;
    source.onopen = () => {
      if (says.textContent === says.dataset.lost) say("");
      opened = performance.now();
    };
    source.onmessage = (message) => {
      last = message.lastEventId || last;
      if (concerns(JSON.parse(message.data))) soon();
    };
    source.addEventListener("rest", () => { stop(); resting = true; });
    source.onerror = () => {
      const refused = source.readyState === EventSource.CLOSED;
      stop();
      failures = performance.now() - opened > 5000 ? 1 : failures + 1;
      if (failures === 2) say(says.dataset.lost);
      if (refused) soon();
      setTimeout(() => { if (!source && !resting) connect(); }, Math.min(60000, 250 * 2 ** failures) * (0.5 + Math.random()));
    };
  }

  function seen() {
    if (document.hidden) return;
    if (resting) connect();
    if (!document.querySelector("[data-list]")) count(0);
    if (again) soon();
  }

  document.addEventListener("visibilitychange", seen);
  window.addEventListener("focus", seen);
  window.addEventListener("pagehide", () => { resting = true; stop(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  document.addEventListener("compositionstart", () => { composing = true; });
  document.addEventListener("compositionend", () => { composing = false; if (again) soon(); });
  if ("tick" in shown) setInterval(() => { if (!document.hidden) refresh(false); }, 60000);
  connect();
})();

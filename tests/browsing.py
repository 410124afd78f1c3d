"""A real browser for tests of the desk, and what may be wrong with a page it shows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pylopdf_fonts_zh_cn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
_SCROLLS = "(e) => { for (; e; e = e.parentElement) if (getComputedStyle(e).overflowX !== 'visible') return true; }"
# What is wider than the window, were it only by a shadow; what scrolls in a box of its own may be.
_WIDE = f"""() => {{
  const scrolls = {_SCROLLS};
  const wide = [...document.querySelectorAll('body *')].filter(
    (e) => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e));
  const out = wide.map((e) => `wider than the window: ${{e.outerHTML.slice(0, 80)}}`);
  if (document.documentElement.scrollWidth > innerWidth) out.push('scrolls sideways');
  return out;
}}"""
# WCAG 2 contrast of each visible text with what is painted behind it: 4.5, or 3 for large letters.
_PALE = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = (top, under) => [0, 1, 2].map((n) => top[n] * top[3] + under[n] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => (v / 255 <= .04045 ? v / 3294.6 : ((v / 255 + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (e) => {
    if (!e) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(e).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(e.parentElement));
  };
  const judge = (e, style, text) => {
    const back = ground(e), [a, b] = [light(over(parse(style.color), back)), light(back)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + .05) / (b + .05);
    return ratio < (large ? 3 : 4.5) ? [`contrast ${ratio.toFixed(2)}: ${text.trim().slice(0, 30)}`] : [];
  };
  const out = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (walk.currentNode.data.trim() && e.checkVisibility() && !['SCRIPT', 'NOSCRIPT'].includes(e.tagName))
      out.push(...judge(e, getComputedStyle(e), walk.currentNode.data));
  }
  for (const e of document.querySelectorAll('[placeholder]'))
    out.push(...judge(e, getComputedStyle(e, '::placeholder'), e.placeholder));
  return out;
}"""
# What a screen reader or a thumb cannot make out.
_MUTE = """() => {
  const out = [], seen = new Set();
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
    if (!e.labels.length && !e.ariaLabel) out.push(`no label: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll('a, button, summary'))
    if (!e.textContent.trim() && !e.ariaLabel) out.push(`no words: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll('button, select, input:not([type=hidden]), summary'))
    if (e.checkVisibility() && (e.labels?.length && e.type === 'checkbox' ? e.labels[0] : e).offsetHeight < 40)
      out.push(`too low: ${e.outerHTML.slice(0, 80)}`);
  for (const { id } of document.querySelectorAll('[id]')) if (seen.size === seen.add(id).size) out.push(`twice: ${id}`);
  if (document.querySelectorAll('h1').length !== 1) out.push('not one heading');
  if (!document.documentElement.lang) out.push('no language');
  return out;
}"""


@contextmanager
def launched(folder: Path) -> Iterator[Browser]:
    """The system's Chromium, with a Chinese font."""
    fonts = Path(pylopdf_fonts_zh_cn.__file__).parent
    dirs = f"<include>/etc/fonts/fonts.conf</include><dir>{fonts}</dir><cachedir>{folder}</cachedir>"
    (folder / "fonts.conf").write_text(f"<fontconfig>{dirs}</fontconfig>")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            env={**os.environ, "FONTCONFIG_FILE": str(folder / "fonts.conf")},
        )
        yield browser
        browser.close()


class Watched:
    """A page whose complaints are kept, and whose every look is judged.

    Args:
        context: Where it opens.
        shots: The folder for pictures, None where nobody wants any.
    """

    def __init__(self, context: BrowserContext, shots: Path | None) -> None:
        self.page: Page = context.new_page()
        self.wrong: list[str] = []
        self._shots = shots
        self.page.on("console", lambda message: self.wrong.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))

    def judge(self, name: str) -> None:
        """What is too wide, too pale or without a name is a fault, and so is any complaint so far."""
        size = self.page.viewport_size
        if self._shots and size:
            self.page.screenshot(path=self._shots / f"{name}-{size['width']}.png", full_page=True)
        for look in (_WIDE, _PALE, _MUTE):
            self.wrong += self.page.evaluate(look)
        assert self.wrong == [], name

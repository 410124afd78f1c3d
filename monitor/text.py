"""Plain text out of whatever a page or file held: the first step of intake, before masking and scoring.

What is folded, and why not all of NFKC: NFKC would turn ，！？（） into ASCII, ② into 2, m² into m2 and
½ into 1⁄2, and so change what the writer said. Folded are letters and digits that only differ in width or
style (Ａ１, 𝟏, Ⓥ, ⼈, ｱ), the ASCII symbols people type in full width (＠＃％＋－), and a letter with one
combining mark. Chinese punctuation, circled numbers, superscripts and unit signs stay as they are; ＜＞＆
stay full-width, so that folding never makes markup out of text.

Markup is removed, its words are kept: whatever stands in a comment or a ``<style>`` block remains readable,
so that nobody hides a sentence from the monitor in one. Only known HTML elements are markup;
``<iPhone 15>`` is text.
"""

import html
import re
import unicodedata
from html.entities import html5

LIMIT = 20_000
"""Longest text kept, in characters, the mark included."""
CUT_MARK = "…（原文过长，已截断）"

_RAW_LIMIT = 8 * LIMIT  # read at most this much: markup may take most of it, and time stays bounded
_ROUNDS = 8  # layers of escaping taken off; what is nested deeper stays visible as text

# Controls, zero-width and bidi marks, fillers, variation selectors, the keycap frame, lone surrogates,
# noncharacters, tag characters.
_DROPPED = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20e3\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ufdd0-\ufdef\ud800-\udfff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_STYLED = (
    "０-９Ａ-Ｚａ-ｚ＂＃＄％＇＊＋－．／＝＠＼＾＿｀｜￥\uff61-\uff9f\u2f00-\u2fd5\u24b6-\u24e9\uf900-\ufaff\ufb00-\ufb06"
    "\U0001d400-\U0001d7ff\U0001f130-\U0001f149\U0002f800-\U0002fa1f"
)
# One mark only: normalising long runs of combining marks takes quadratic time (80,000 of them: 5 s).
_MARKED = "[A-Za-zÀ-ɏḀ-ỿ぀-ヿ][\u0300-\u036f\u3099\u309a]"
_INLINE = "a|abbr|b|bdi|bdo|code|del|em|font|i|ins|mark|s|small|span|strong|sub|sup|u"
_BLOCK = (
    "article|aside|blockquote|body|br|button|center|dd|div|dl|dt|embed|figure|footer|form|h[1-6]|head|header|hr|html|iframe"
    "|img|input|label|li|link|main|meta|nav|object|ol|option|p|pre|script|section|select|style|svg|table|tbody|td|textarea"
    "|tfoot|th|thead|title|tr|ul|video"
)

_drop = re.compile(f"[{_DROPPED}]+")
_fold = re.compile(f"[{_STYLED}]+|{_MARKED}")
_entity = re.compile(r"&(?:(?:amp|#38|#x26);)*(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_inline = re.compile(f"</?(?:{_INLINE})(?=[\\s/>])[^<>]*>", re.IGNORECASE)
_block = re.compile(f"</?(?:{_BLOCK})(?=[\\s/>])[^<>]*>|<!--|<!doctype[^<>]*>|<!\\[CDATA\\[", re.IGNORECASE)
_space = re.compile(r"\s+")
_odd = re.compile(f"[<&{_DROPPED}{_STYLED}]|{_MARKED}|[^\\S ]|  |^ | $")


def clean(text: str) -> str:
    """Turn outside text into plain, bounded, one-line text.

    Args:
        text: Anything, hostile or huge; HTML and entities may be escaped several times over.

    Returns:
        At most `LIMIT` characters, ending in `CUT_MARK` where some were cut. ``clean(clean(x)) == clean(x)``.
    """
    cut = len(text) > _RAW_LIMIT
    text = text[:_RAW_LIMIT]
    if _odd.search(text):
        text = _settled(text)
    if cut or len(text) > LIMIT:
        text = text[: LIMIT - len(CUT_MARK)].rstrip() + CUT_MARK
    return text


def _settled(text: str) -> str:
    """Apply `_step` until nothing changes; beyond `_ROUNDS` layers the markup is made harmless and stays."""
    for _ in range(_ROUNDS):
        before, text = text, _step(text)
        if text == before:
            return text
    return _step(text.replace("<", "＜").replace("&", "＆"))


def _step(text: str) -> str:
    text = _drop.sub("", text)
    text = _fold.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    if "&" in text:
        text = _entity.sub(_unescaped, text)
    if "<" in text:
        text = _block.sub(" ", _inline.sub("", text))
    return _space.sub(" ", text).strip()


def _unescaped(found: re.Match[str]) -> str:
    name = f"{found[1]};"
    return html.unescape(f"&{name}") if name[0] == "#" or name in html5 else f"&{name}"

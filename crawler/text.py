"""Bytes to text and HTML to plain text: nothing guessed, linear time whatever comes in."""

import codecs
import re
from html import unescape

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s[^<>]*)?)/?>|<!--|<![a-zA-Z][^<>]*>")
_BLOCK_NAMES = (
    "address article blockquote br dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol"
    " p pre section table tbody td tfoot th thead tr ul"
)
_INLINE_NAMES = (
    "a abbr b bdi bdo big body button center cite code data del details dfn em figcaption font head html i img input"
    " ins kbd label link mark meta picture q rp rt ruby s samp small source span strike strong sub summary sup time tt"
    " u var video wbr"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_DROPPED = frozenset({"iframe", "noscript", "script", "style", "svg", "template"})
_TAGS = _BLOCKS | _DROPPED | frozenset(_INLINE_NAMES.split())
_REVEALED = re.compile(r"</?(?:(br|p|div)|span|b|strong|em|i)(?:\s[^<>]*)?/?>", re.IGNORECASE)
_ENDLESS = re.compile(r"&#[0-9]{8,}+")  # no character has such a number, and Python takes offence at 4,300 digits
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_EMOTICON = re.compile(r"""\balt\s*=\s*["']?(\[[^\]\["'<>]{1,20}\])""")
_ONE_WORD = re.compile(r"[a-zA-Z-]*")  # <p>, <br>, <input disabled>, but not "a <b and c> d"
_SPACES = re.compile(r"[ \t\r\f\v\xa0\u3000]+")
_TO_DO = re.compile(r"[<&\t\n\r\f\v\xa0\u3000]|  ")
_LINES = re.compile(r" ?\n[ \n]*")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAYS_NOTHING = frozenset({"ascii", "utf-8", "iso8859-1", "cp1252", "gb2312", "gbk"})  # served without meaning it
_TAIL = 3  # bytes of a character that may be cut off at the end of a page


def plain_text(html: str) -> str:
    """What a reader would see: tags and scripts gone, blocks and <br> as line ends, entities undone.

    A second layer of escaping (``&amp;quot;``, ``&lt;br&gt;``) is undone too, but text that only *shows* a tag the
    writer typed, such as ``&lt;script&gt;``, stays as he typed it, and ``<`` that opens no HTML tag is text.
    """
    if not _TO_DO.search(html):
        return html.strip()
    if "<" in html:
        html = _without_tags(html)
    if "&" in html:
        html = _unescaped(html)
        html = _unescaped(html) if _ENTITY.search(html) else html
        html = _REVEALED.sub(lambda tag: "\n" if tag[1] else "", html)
    return _LINES.sub("\n", _SPACES.sub(" ", html)).strip()


def _unescaped(html: str) -> str:
    return unescape(_ENDLESS.sub("&#0", html))


def _without_tags(html: str) -> str:
    out: list[str] = []
    at = 0
    unclosed: set[str] = set()
    for tag in _TAG.finditer(html):
        name = (tag[2] or "").lower()
        if tag.start() < at or (name and not _is_html(name, tag[3].strip(" \t\n/"))):
            continue
        out.append(html[at : tag.start()])
        at = tag.end()
        if name in _BLOCKS:
            out.append("\x00")
        elif name == "img" and (emoticon := _EMOTICON.search(tag[3])):
            out.append(emoticon[1])
        closing = "-->" if tag[0] == "<!--" else f"</{name}" if name in _DROPPED and not tag[1] else ""
        if closing and closing not in unclosed:
            end = re.compile(re.escape(closing), re.IGNORECASE).search(html, at)
            at = end.start() if end and name else end.end() if end else at
            unclosed |= set() if end else {closing}
    if not at:
        return html
    out.append(html[at:])
    # Inside HTML a line end is only a space; what ends a line is a block.
    return "".join(out).replace("\n", " ").replace("\x00", "\n")


def _is_html(name: str, attributes: str) -> bool:
    return name in _TAGS and ("=" in attributes or _ONE_WORD.fullmatch(attributes) is not None)


def decode(body: bytes, declared: str = "") -> str | None:
    """Text of a page or file; None where it is no text at all (binary, or no encoding fits).

    UTF-8 that really is UTF-8 wins over whatever was declared; then a declared encoding that means something (Big5,
    Shift_JIS …); then GB18030, which also reads GBK and GB2312; then Latin-1 where that was declared.
    """
    for bom, name in _BOMS:
        if body.startswith(bom):
            return body.decode(name, "replace")
    if b"\x00" in body:
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start >= len(body) - _TAIL:
            return body.decode("utf-8", "ignore")
    named = _codec(declared)
    wanted = [named] if named and named not in _SAYS_NOTHING else []
    for name in [*wanted, "gb18030", *({named} & {"iso8859-1", "cp1252"})]:
        try:
            return body.decode(name)
        except UnicodeDecodeError:
            continue
    return None


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        return ""

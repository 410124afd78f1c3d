"""The desk in English: templates are written in Chinese and translated as they are loaded, labels as they are shown.

``english.toml`` is the only place with English words; what it lacks stays Chinese. A piece of a template is what stands
between two tags or blocks, expressions included, so that English may put them in another order. What an expression
gives is a label and goes through the filter ``t``, but for people's own words: those stand in ``<bdi>``, ``<textarea>``
or ``<code>``.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LANGUAGES = ("zh", "en")
_COOKIE = "pingshao_language"
_YEAR = 365 * 24 * 3600
_HAN = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_INNER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{(-?)(.*?)(-?)\}\}", re.DOTALL)
_TOKEN = re.compile(rf"(\{{#.*?#\}}|\{{%.*?%\}}|</?\w(?:{_INNER.pattern}|[^<>])*>)", re.DOTALL)
_ATTRIBUTE = re.compile(rf'([\w-]+=")((?:{_INNER.pattern}|[^"])*)(?=")', re.DOTALL)
_LITERAL = re.compile(r'(?<=")([^"]*)(?=")')
_SHOWN = ('title="', 'placeholder="', 'aria-label="')
_SHIELD = re.compile(r"<(?:bdi|textarea|code)\b")  # people's own words
_UNSHIELD = re.compile(r"</(?:bdi|textarea|code)\b")

_current: ContextVar[str] = ContextVar("language", default="zh")
"""Of the request that is being answered."""


def current() -> str:
    """``zh`` or ``en``."""
    return _current.get()


@cache
def _catalogue() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Pieces of templates, and labels, each with its English."""
    with (Path(__file__).parent / "english.toml").open("rb") as file:
        read = tomllib.load(file)
    return read["pages"], read["labels"]


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Labels with places in them; the longest come first."""
    open_ones = sorted((key for key in _catalogue()[1] if "{" in key), key=len, reverse=True)
    return [
        (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(key))), _catalogue()[1][key])
        for key in open_ones
    ]


@lru_cache(4096)
def english(label: str) -> str:
    """A label in English; of one with places, those in capitals are labels again. What is not known stays."""
    if not _HAN.search(label):
        return label
    if known := _catalogue()[1].get(label):
        return known
    for pattern, told in _patterns():
        if match := pattern.fullmatch(label):
            places = match.groupdict()
            return told.format(**{name: english(said) if name.isupper() else said for name, said in places.items()})
    parts = label.removesuffix("。").split("，")
    made = [english(part) for part in parts] if len(parts) > 1 or label.endswith("。") else parts
    if all(one != part or not _HAN.search(part) for one, part in zip(made, parts, strict=True)):
        return ", ".join(made) + "." * label.endswith("。")
    return ", ".join(map(english, label.split("、"))) if "、" in label and len(parts) == 1 else label


def speak(value: Any) -> Any:
    """What an expression in a template gives, in English where it is a label; the filter ``t``."""
    return english(value) if type(value) is str else value


def pieces(source: str) -> list[str]:
    """All that is Chinese in a template, as the catalogue has to have it."""
    found: list[str] = []

    def keep(piece: str) -> str:
        found.append(piece)
        return piece

    _translate(source, keep)
    return found


def _translate(source: str, say: Callable[[str], str | None]) -> str:
    """A template with its pieces replaced, and with labels made English where an expression gives them."""
    done, shields = [], 0
    for part in _TOKEN.split(source):
        if part.startswith(("{#", "{%")):
            done.append(_literals(part, say) if part.startswith("{%") else part)
        elif part.startswith("<"):
            shields += bool(_SHIELD.match(part)) - bool(_UNSHIELD.match(part))
            done.append(_ATTRIBUTE.sub(lambda match: match[1] + _piece(match[2], say, shown=match[1] in _SHOWN), part))
        else:
            done.append(_piece(part, say, shown=not shields))
    return "".join(done)


def _piece(piece: str, say: Callable[[str], str | None], *, shown: bool) -> str:
    """A piece in English; where it is ``shown``, what its expressions give is a label."""
    key = " ".join(piece.split())
    told = say(key) if _HAN.search(_INNER.sub("", key)) else None
    if told is None:
        text = _INNER.sub(lambda match: _literals(match[0], say), piece)
    else:
        bare = piece.strip()
        text = piece.replace(bare, told)
    return _EXPRESSION.sub(r"{{\1 (\2) | t \3}}", text) if shown else text


def _literals(code: str, say: Callable[[str], str | None]) -> str:
    return _LITERAL.sub(lambda match: (_HAN.search(match[1]) and say(match[1])) or match[1], code)


class Loader(FileSystemLoader):
    """Loads templates in English."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """The source, translated."""
        source, file, fresh = super().get_source(environment, template)
        return _translate(source, _catalogue()[0].get), file, fresh


class Chosen:
    """Answers each request in the language of its cookie; ``?lang=en`` in any address changes the cookie.

    Args:
        app: What answers.
        secure: The cookie goes over HTTPS alone.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app, self._secure = app, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = _asked(scope)

        async def remember(message: Message) -> None:
            if message["type"] == "http.response.start" and asked in LANGUAGES:
                cookie = f"{_COOKIE}={asked}; Path=/; Max-Age={_YEAR}; SameSite=Lax; HttpOnly"
                MutableHeaders(scope=message).append("set-cookie", cookie + "; Secure" * self._secure)
            await send(message)

        with spoken(scope):
            await self._app(scope, receive, remember)


@contextmanager
def spoken(scope: Scope) -> Iterator[None]:
    """Within, the language of a request counts; a page that says something broke is made outside of `Chosen`."""
    asked = _asked(scope)
    mark = _current.set(asked if asked in LANGUAGES else _remembered(scope))
    try:
        yield
    finally:
        _current.reset(mark)


def _asked(scope: Scope) -> str:
    query: str = scope["query_string"].decode("latin-1")
    return parse_qs(query).get("lang", [""])[-1]


def _remembered(scope: Scope) -> str:
    said = HTTPConnection(scope).cookies.get(_COOKIE, "")
    return said if said in LANGUAGES else "zh"

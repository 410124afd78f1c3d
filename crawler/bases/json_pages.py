"""Reading JSON answers: dotted paths, JSONP, and errors that come with HTTP 200."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from crawler.bases.base import SourceError

WHOLE = ("", "$")  # paths that mean the body itself
MISSING = object()
_JSONP = re.compile(r"\s*+(?:/\*.*?\*/\s*+)?[\w$.]++\s*+\((.*)\)\s*+(?:;\s*+)?", re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SHIELD = re.compile(r"\s*+\)\]\}',?\n")  # some sites prefix this against being read as a script
_TOLD = (
    "msg",
    "message",
    "error_msg",
    "errmsg",
    "error_message",
    "sub_msg",
    "zh_desc",
    "en_desc",
    "error",
    "detail",
    "reason",
)
_BAD = re.compile(
    r"失败|错误|异常|过期|失效|无权|权限|频繁|登录|繁忙|invalid|denied|fail|error|expired|forbidden|limit",
    re.IGNORECASE,
)
_SLOT = re.compile(r"\{([^{}]+)\}")
_DEPTH = 3  # how deep an error's text is looked for
_SHOWN = 12  # keys named in a message


def load(text: str) -> Any:
    """The value of a JSON or JSONP answer.

    Raises:
        SourceError: It is neither.
    """
    text = text.removeprefix("\ufeff")
    shield = _SHIELD.match(text)
    text = text[shield.end() :] if shield else text
    try:
        return _value(text)
    except (ValueError, RecursionError) as error:
        if (wrapped := _JSONP.fullmatch(text)) is not None:
            try:
                return _value(wrapped[1])
            except (ValueError, RecursionError):
                pass
        raise SourceError(f"不是完整的 JSON：开头是 {text[:60]!r}") from error


def _value(text: str) -> Any:
    """The value of JSON without halves of surrogate pairs, which no address and no file can hold."""
    value = json.loads(text)
    if _SURROGATE.search(text):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="ignore"))
    return value


def dig(value: Any, path: str) -> Any:
    """What lies at a dotted path; ``MISSING`` where nothing does.

    A number picks from a list. A key may itself hold dots, colons or ``@``: ``"im:rating.label"``.
    """
    if path in WHOLE:
        return value
    if isinstance(value, dict):
        if path in value:
            return value[path]
        for at in (n for n, letter in enumerate(path) if letter == "."):
            if path[:at] in value and (found := dig(value[path[:at]], path[at + 1 :])) is not MISSING:
                return found
    elif isinstance(value, list):
        first, _, rest = path.partition(".")
        if re.fullmatch(r"-?\d{1,6}", first) and -len(value) <= int(first) < len(value):
            return dig(value[int(first)], rest)
    return MISSING


def items_at(body: Any, path: str, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """The items of an answer; an object where a list is expected is one item, ``null`` none.

    Raises:
        SourceError: There is no such path; the message names it, the keys that are there, and what the answer says.
    """
    found = dig(body, path)
    if found is MISSING:
        raise SourceError(f"应答里没有 items 路径 {path!r}，{_keys(body)}{complaint(body)}")
    if found in (None, []) and path not in WHOLE:
        if _BAD.search(said := complaint(body)):
            raise SourceError(f"items 路径 {path!r} 处是空的{said}")
        return []
    if isinstance(found, dict) and any(dig(found, field) is not MISSING for field in fields.values()):
        return [found]
    if not isinstance(found, list):
        raise SourceError(f"items 路径 {path or '$'!r} 处应是列表，{_keys(found)}{complaint(body)}")
    return [entry if isinstance(entry, dict) else {"": entry} for entry in found]


def with_children(entries: list[dict[str, Any]], path: str) -> Iterator[dict[str, Any]]:
    """Each item, followed by the answers it holds at ``path``, and by theirs."""
    waiting = entries[::-1]
    while waiting:
        entry = waiting.pop()
        yield entry
        answers = dig(entry, path) if path else None
        if isinstance(answers, list):
            waiting += [answer for answer in reversed(answers) if isinstance(answer, dict)]


def read_fields(entry: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, object]:
    """Raw values of one item; objects and lists are no values."""
    raw = {name: dig(entry, path) for name, path in fields.items()}
    return {name: value for name, value in raw.items() if isinstance(value, (str, int, float))}


def filled(template: str, entry: Mapping[str, Any]) -> str:
    """An address with ``{path}`` replaced by what lies there in the item; empty where something does not."""
    parts = _SLOT.split(template)
    found = [dig(entry, path) for path in parts[1::2]]
    if not all(isinstance(value, (str, int)) for value in found):
        return ""
    parts[1::2] = [quote(str(value), safe="") for value in found]
    return "".join(parts)


def _keys(value: Any) -> str:
    if isinstance(value, dict):
        return f"有的键是 {'、'.join(map(str, list(value)[:_SHOWN])) or '（没有）'}"
    return f"却是 {type(value).__name__}"


def complaint(body: Any, depth: int = 0) -> str:
    """What an error answer says about itself."""
    if isinstance(body, list):
        return next((said for value in body[:_SHOWN] if (said := complaint(value, depth + 1))), "")
    if not isinstance(body, dict) or depth > _DEPTH:
        return ""
    for key in _TOLD:
        if isinstance(body.get(key), str) and body[key].strip():
            return f"；对方说：{body[key].strip()[:120]}"
    return next((said for value in body.values() if (said := complaint(value, depth + 1))), "")

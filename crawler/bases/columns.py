"""Which column of a table holds which field: guessed from the header, or told."""

import difflib
import functools
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crawler.bases.base import SourceError
from crawler.bases.fields import FIELDS

_BRACKETS = re.compile(r"[(\[【].*?[)\]】]")
_FILLERS = re.compile(r"[\s_\-:/.*\"'=\ufeff\u200b]+")


@functools.cache
def _data() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("columns.toml").read_text(encoding="utf-8"))


@functools.cache
def _synonyms() -> dict[str, list[str]]:
    return {field: [_bare(name) for name in names] for field, names in _data()["synonyms"].items()}


def map_names() -> list[str]:
    """Maps a source may name, besides ``auto``."""
    return sorted(_data()["maps"])


def guess_columns(header: Sequence[object]) -> dict[str, str]:
    """Field → column for a header in Chinese or English; a column serves one field, the earlier synonym wins.

    Without a text column the result has none either: the caller decides what that means.
    """
    bare = {name: _bare(name) for name in (str(cell) for cell in header if cell is not None) if _bare(name)}
    columns: dict[str, str] = {}
    for field, names in _synonyms().items():
        free = {plain: name for name, plain in reversed(bare.items()) if name not in columns.values()}
        if found := next((free[name] for name in names if name in free), None):
            columns[field] = found
    return columns


def columns_of(header: Sequence[object], wanted: str | Mapping[str, str]) -> dict[str, int]:
    """Field → index of its column.

    Args:
        header: The table's first row.
        wanted: ``"auto"``, the name of a map, or field → column.

    Raises:
        SourceError: No text column, or a told column is not there; the message names what was found and expected.
    """
    names = ["" if cell is None else str(cell).strip().lstrip("\ufeff") for cell in header]
    if wanted == "auto":
        told: Mapping[str, str] = guess_columns(names)
        if "text" not in told:
            raise SourceError(
                f"没有找到评价内容列。表头是：{_shown(names)}；应有 评价内容、评论内容、comment、text 等其中之一"
            )
    else:
        told = named_map(wanted) if isinstance(wanted, str) else wanted
        missing = [column for column in told.values() if column not in names]
        if isinstance(wanted, str):  # a named map lists what may be there; only the text must be
            missing = [told["text"]] if told["text"] in missing else []
        if missing:
            raise SourceError(f"没有名为 {'、'.join(missing)} 的列。表头是：{_shown(names)}")
    return {field: names.index(column) for field, column in told.items() if column in names}


def named_map(name: str) -> dict[str, str]:
    """Field → column of a map in ``columns.toml``.

    Raises:
        SourceError: There is no such map; the message names the nearest.
    """
    maps: dict[str, dict[str, str]] = _data()["maps"]
    if name not in maps:
        near = difflib.get_close_matches(name, ["auto", *maps], n=1, cutoff=0.0)[0]
        raise SourceError(f"没有名为 {name!r} 的 map，是不是 {near!r}？可用的有：auto、{'、'.join(sorted(maps))}")
    return maps[name]


def check_map(wanted: str | Mapping[str, str]) -> None:
    """Refuse a map that cannot work with any table.

    Raises:
        SourceError: An unknown name or field, or no text column.
    """
    if isinstance(wanted, str):
        if wanted != "auto":
            named_map(wanted)
    elif unknown := sorted(set(wanted) - set(FIELDS)):
        raise SourceError(f"map 里没有 {'、'.join(unknown)} 这个字段；可用的有：{'、'.join(FIELDS)}")
    elif "text" not in wanted:
        raise SourceError("map 里要写明 text 对应哪一列")


def _shown(names: Sequence[str]) -> str:
    shown = "、".join(name[:30] for name in names[:30] if name)
    return shown or "（空）"


def _bare(name: str) -> str:
    plain = _BRACKETS.sub("", unicodedata.normalize("NFKC", name).casefold())
    return _FILLERS.sub("", plain)

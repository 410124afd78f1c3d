"""Which column of a table holds which field: guessed from the header, or told.

A platform's map is a file in ``crawler/bases/maps``: by field, the words its back end puts in the header.
"""

import difflib
import functools
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crawler.bases.base import SourceError
from crawler.bases.fields import FIELDS

FOLDER = Path(__file__).with_name("maps")
AUTO, GENERIC = "auto", "generic"
_ENOUGH = 4  # columns by which a platform is known
_BRACKETS = re.compile(r"[(\[【][^()\[\]【】]*+[)\]】]")
_FILLERS = re.compile(r"[\s_\-:/.*\"'=()\[\]【】\ufeff\u200b]+")

Words = dict[str, list[str]]  # by field, in order of preference


@dataclass(frozen=True, slots=True)
class Columns:
    """A header as it was understood.

    Attributes:
        map: Name of the map it was read by; empty where the columns were told.
        at: Field → index of its column; "text" may be missing.
    """

    map: str
    at: dict[str, int]


def map_names() -> list[str]:
    """Maps a source may name, besides ``auto``."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


@functools.cache
def map_title(name: str) -> str:
    """What people call the platform of a map."""
    return str(_file(name)["name"])


def guess_columns(header: Sequence[object]) -> Columns:
    """The map that knows most columns of a header, and what it makes of them; the generic one where none stands out."""
    bare = _bares(header)
    known = sorted(((len(_fit(bare, _words(name))), name) for name in map_names() if name != GENERIC), reverse=True)
    (most, name), (second, _) = known[:2]
    return _by_map(bare, name if most > second and most >= _ENOUGH else GENERIC)


def columns_of(header: Sequence[object], wanted: str | Mapping[str, str]) -> Columns:
    """What a header says.

    Args:
        header: A row of a table, perhaps its header.
        wanted: ``"auto"``, the name of a map, or field → column.

    Raises:
        SourceError: No text column, or a told column is not there; the message names what was found and expected.
    """
    if not isinstance(wanted, str):
        return Columns("", _told(header, wanted))
    found = guess_columns(header) if wanted == AUTO else _by_map(_bares(header), wanted)
    if "text" not in found.at:
        raise SourceError(
            f"没有找到评价内容列。表头是：{_shown(header)}；应有 评价内容、评论内容、comment、text 等其中之一"
        )
    return found


def check_map(wanted: str | Mapping[str, str]) -> None:
    """Refuse a map that cannot work with any table.

    Raises:
        SourceError: An unknown name or field, or no text column; the message names the nearest.
    """
    if isinstance(wanted, str):
        known = [AUTO, *map_names()]
        if wanted not in known:
            near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.0)[0]
            raise SourceError(f"没有名为 {wanted!r} 的 map，是不是 {near!r}？可用的有：{'、'.join(known)}")
    elif unknown := sorted(set(wanted) - set(FIELDS)):
        raise SourceError(f"map 里没有 {'、'.join(unknown)} 这个字段；可用的有：{'、'.join(FIELDS)}")
    elif "text" not in wanted:
        raise SourceError("map 里要写明 text 对应哪一列")


def _told(header: Sequence[object], wanted: Mapping[str, str]) -> dict[str, int]:
    bare = _plain_names(header)
    missing = [column for column in wanted.values() if _bare(column) not in bare]
    if missing:
        raise SourceError(f"没有名为 {'、'.join(missing)} 的列。表头是：{_shown(header)}")
    return {field: bare.index(_bare(column)) for field, column in wanted.items()}


def _by_map(bare: dict[str, int], name: str) -> Columns:
    """What a map and, for the columns it does not know, the generic one make of a header."""
    own = _fit(bare, _words(name))
    rest = {field: words for field, words in _words(GENERIC).items() if field not in own}
    free = {plain: index for plain, index in bare.items() if index not in own.values()}
    return Columns(name, own | _fit(free, rest))


def _fit(bare: dict[str, int], words: Words) -> dict[str, int]:
    """Field → index; a column serves one field, the earlier word wins."""
    free = dict(bare)
    found: dict[str, int] = {}
    for field, names in words.items():
        if (name := next((name for name in names if name in free), None)) is not None:
            found[field] = free[name]
            free = {plain: index for plain, index in free.items() if index != found[field]}
    return found


def _bares(header: Sequence[object]) -> dict[str, int]:
    """Plain name → index of its first column; what stands in brackets counts only where a map knows it."""
    known = _known()
    full = _plain_names(header)
    found: dict[str, int] = {}
    for index, cell in enumerate(header):
        plain = full[index] if full[index] in known else _bare(_BRACKETS.sub("", _folded(cell)))
        if plain:
            found.setdefault(plain, index)
    return found


def _plain_names(header: Sequence[object]) -> list[str]:
    return [_bare(_folded(cell)) for cell in header]


def _folded(cell: object) -> str:
    return "" if cell is None else unicodedata.normalize("NFKC", str(cell)[:200]).casefold()


def _bare(name: str) -> str:
    return _FILLERS.sub("", _folded(name))


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(word for name in map_names() for words in _words(name).values() for word in words)


@functools.cache
def _words(name: str) -> Words:
    return {field: [_bare(word) for word in words] for field, words in _file(name)["columns"].items()}


@functools.cache
def _file(name: str) -> dict[str, Words]:
    check_map(name)
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _shown(names: Sequence[object]) -> str:
    shown = "、".join(str(name)[:30] for name in names[:30] if name not in {None, ""})
    return shown or "（空）"

"""Numbers of persons inside a run of digits, however the digits are written and whatever stands between them.

A run is a stretch of digit characters with at most four separators between two of them. It is read as groups:
``138 0000`` is two, and every Chinese numeral or circled digit is a group of its own. A number must begin and
end with a group, so that a phone never begins in the middle of a long order number.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

ODD_DIGIT = "⓪①-⑨⑴-⑼⒈-⒐❶-❾➀-➈➊-➒⓵-⓽⓿²³¹⁰⁴-⁹₀-₉〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖貳參陸幺两洞拐勾"
_LETTER_O = r"(?<=[\doO])[oO](?=[\doO])"  # 138OOOO1111
DIGIT = f"(?:[\\d{ODD_DIGIT}]|{_LETTER_O})"
# Blanks, invisible characters, strokes, dots, brackets, quotes, the keycap frame, arrows, symbols, emoji;
# no colon: it stands in times.
SEPARATOR = (
    r"""[\s\-‐-―−_.·•・‧。*＊,，、/\\|~～+()（）\[\]【】"'“”‘’…#^&=\u00ad\u200b-\u200f\u2060-\u2064\ufeff\ufe0f\u20e3"""
    "\u2190-\u21ff\u2300-\u23ff\u2500-\u2775\u2794-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]|杠|空格"
)
BETWEEN = f"(?:(?!\\*{{4}})(?:{SEPARATOR})){{0,4}}"  # four stars are a mask: nothing is read across them
MASKED = r"(?<!\d)(?<!\*\*)(?:\d{3,4}-?)?\*{4,}+\d{4}(?!\d)"  # begun once a row of stars, or it takes quadratic time

_SPOKEN = {"幺": 1, "两": 2, "洞": 0, "拐": 7, "勾": 9, "o": 0, "O": 0}  # the rest unicodedata.numeric knows
_LONGEST = 19  # a bank card
_ORDINARY = {"", " ", *".,，、-—/()（）[]~～+"}  # what may stand between two numbers, too
_group = re.compile(f"\\d+|[{ODD_DIGIT}]|[oO]|[XxＸｘ]")

_mobile = re.compile(r"((?:0086|86|0)?)(1[3-9]\d)\d{4}(\d{4})")
_landline = re.compile(r"(0(?:10|2\d|[3-9]\d\d))[2-8]\d{2,3}(\d{4})")
_service = re.compile(r"[48]00\d{7}")
_birth = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_id18 = re.compile(rf"[1-8]\d{{5}}(?:19|20)\d\d{_birth}\d{{3}}[\dX]")
_id15 = re.compile(rf"[1-8][1-7]\d{{4}}\d\d{_birth}\d{{3}}")
_card = re.compile(r"6[02]\d{11,17}|9558\d{12,15}|4\d{12,15}|5[1-5]\d{14}|3[4-7]\d{12,14}")
_shape = re.compile("|".join(each.pattern for each in (_mobile, _landline, _service, _id18, _id15, _card)))


class Found(NamedTuple):
    """A personal number: where it stands in the run, what it is, and what to show instead."""

    start: int
    end: int
    kind: str
    masked: str


@dataclass(frozen=True, slots=True)
class _Group:
    start: int
    end: int
    digits: str
    gap: str  # what stands before it, blanks folded
    odd: bool  # a Chinese numeral, circled digit or the like


def personal(run: str) -> list[Found]:
    """Find phones, ID card and bank card numbers in a run; service numbers (400, 800) are none.

    Args:
        run: Digits and separators, as matched by `DIGIT` and `BETWEEN`; may end in an X.

    Returns:
        The numbers found, in order, not overlapping.
    """
    groups = list(_groups(run))
    found: list[Found] = []
    first = 0
    while first < len(groups):
        last, hit = _longest(groups, first)
        if hit and hit.masked:
            found.append(hit)
        first = last + 1
    return found


def plain(digits: str) -> str:
    """The ASCII digits of a piece of text, and X for a final X; separators are left out."""
    return "".join(group.digits for group in _groups(digits))


def keep_ends(number: str, head: int, tail: int = 4) -> str:
    """Stars for everything but the first ``head`` and last ``tail`` characters, at least four of them."""
    return number[:head] + "*" * max(4, len(number) - head - tail) + number[-tail:]


def _groups(run: str) -> Iterator[_Group]:
    end = 0
    for match in _group.finditer(run):
        digits = "".join(_digit(char) for char in match[0])
        gap = run[end : match.start()]
        yield _Group(match.start(), match.end(), digits, gap.strip() or gap[:1], not match[0].isdecimal())
        end = match.end()


def _digit(char: str) -> str:
    if char in "XxＸｘ":
        return "X"
    return str(_SPOKEN[char] if char in _SPOKEN else int(unicodedata.numeric(char)))


def _longest(groups: list[_Group], first: int) -> tuple[int, Found | None]:
    """The longest number that begins with a group, and the index of its last group."""
    best: tuple[int, Found | None] = (first, None)
    digits = ""
    for last in range(first, len(groups)):
        digits += groups[last].digits
        if len(digits) > _LONGEST:
            break
        hit = _known(digits, groups[first : last + 1]) if _shape.fullmatch(digits) else None
        if hit is not None:
            kind, masked = hit
            best = (last, Found(groups[first].start, groups[last].end, kind, masked))
    return best


def _known(digits: str, groups: list[_Group]) -> tuple[str, str] | None:
    """Kind and mask of a number, ``("service", "")`` for one to keep, None where it is none."""
    known = None
    if _service.fullmatch(digits):
        known = "service", ""
    elif (match := _mobile.fullmatch(digits)) and _one_hand(groups):
        known = "phone", f"{match[1]}{match[2]}****{match[3]}"
    elif (match := _landline.fullmatch(digits)) and _one_hand(groups):
        known = "phone", f"{match[1]}-****{match[2]}"
    elif _card.fullmatch(digits) and _luhn(digits) and _in_fours(groups):
        known = "bank_card", keep_ends(digits, 4)
    elif (_id18.fullmatch(digits) and _id_sum(digits)) or (len(groups) == 1 and _id15.fullmatch(digits)):
        known = "id_card", keep_ends(digits, 3)
    return known


def _one_hand(groups: list[_Group]) -> bool:
    """Whether the groups look like one number, not like prices, sizes or dates that happen to add up."""
    gaps = {group.gap for group in groups[1:]}
    shape = [len(group.digits) for group in groups]
    written_oddly = not gaps <= _ORDINARY or any(group.odd for group in groups)
    return len(gaps) <= 1 or max(shape) == 1 or shape[-2:] == [4, 4] or written_oddly


def _in_fours(groups: list[_Group]) -> bool:
    lengths = {len(group.digits) for group in groups[:-1]}
    return lengths <= {4} or lengths == {1}


def _id_sum(digits: str) -> bool:
    total = sum(int(digit) << (17 - place) for place, digit in enumerate(digits[:17]))
    return "10X98765432"[total % 11] == digits[17]


def _luhn(digits: str) -> bool:
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, odd)) + sum(sum(divmod(2 * int(digit), 10)) for digit in even)) % 10 == 0

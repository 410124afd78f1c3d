"""When something was written, in the ways shops, forums and feeds say it. What is not understood is None."""

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

_MS_FROM = 10**11  # numbers from here on are epoch milliseconds, below it seconds
_YEARS = range(1990, 2100)  # an epoch outside these is no date of a review
_KNOWN = range(1900, 2101)  # years that anything is dated in: "0001-01-01" says nothing, and no zone can be put on it
_LONGEST = 2000  # characters of a field in which a time is looked for
_NOON = 12
_US_ZONES = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_MONTHS = {name: n for n, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}  # noqa: SIM905 — words
_NUMERALS = {
    "半": 0.5,
    "一": 1,
    "两": 2,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "十": 10,
    "a": 1,
    "an": 1,
}

_OFFSET = (
    r"(?:(?:UTC|GMT)\s*(?P<utc>[+-]\d{1,2}(?::?\d\d)?)(?!\d)|(?P<off>[+-]\d\d:?\d\d)(?!\d)|(?P<zone>Z|[A-Z]{2,4})\b)"
)
_CLOCK = (
    # possessive: of three runs of spaces side by side, matching that fails would try every way to share them out
    r"(?:[T\s,]*+(?:\(?(?:星期|周|礼拜)[一二三四五六日天]\)?)?[\s,]*+(?P<half>凌晨|早上|上午|中午|下午|傍晚|晚上)?\s*+"
    r"(?P<H>\d{1,2})\s*[:时點点]\s*(?:(?P<M>[0-5]?\d)(?!\d)\s*(?:[:分]\s*(?:(?P<S>[0-5]?\d)(?!\d)(?:[.,](?P<F>\d{1,9}))?秒?)?)?)?"
    rf"(?:\s*(?P<ampm>[AaPp])\.?[Mm]\b\.?)?(?:\s*{_OFFSET})?)?"
)
_MONTH = r"(?P<b>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_YEAR = r"(?P<y>(?:19|20)\d\d)"
_ABSOLUTE = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?<!\d){_YEAR}\s*[-/.年]\s*(?P<m>\d{{1,2}})\s*[-/.月]\s*(?P<d>\d{{1,2}})(?!\d)\s*[日号]?{_CLOCK}",
        rf"\b{_MONTH}\s+(?P<d>\d{{1,2}})\s+(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)\s+(?:{_OFFSET}\s+)?{_YEAR}\b",
        rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[\s-]+{_MONTH},?[\s-]+{_YEAR}{_CLOCK}",
        rf"\b{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+{_YEAR}{_CLOCK}",
        rf"(?<!\d)(?P<y>\d\d)\s*年\s*(?P<m>\d{{1,2}})\s*月\s*(?P<d>\d{{1,2}})\s*[日号]{_CLOCK}",
    )
)
_COMPACT = re.compile(rf"{_YEAR}(?P<m>\d\d)(?P<d>\d\d)(?:(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)?)?", re.ASCII)
_YEARLESS = re.compile(
    rf"(?<![\d./-])(?P<m>\d{{1,2}})\s*(?P<sep>[-/月])\s*(?P<d>\d{{1,2}})(?![\d/-])\s*[日号]?{_CLOCK}",
    re.ASCII,
)
_NEAR_DAY = re.compile(
    rf"(?:今[天日]|(?P<one>昨[天日])|(?P<two>前天)|(?i:today)|(?P<eve>(?i:yesterday)))(?:\s*at\b)?{_CLOCK}",
    re.ASCII,
)
_JUST_NOW = re.compile(r"刚刚|刚才|just now", re.IGNORECASE)
_HOW_LONG = re.compile(r"刚|前|ago|now", re.IGNORECASE)
_AGO = re.compile(
    r"(?P<n>\d{1,4}|[半一两二三四五六七八九十]|\ban?\b)\s*+(?:个\s*+)?(?:(?P<seconds>秒钟?|sec(?:ond)?s?)|(?P<minutes>分钟?|min(?:ute)?s?)|"
    r"(?P<hours>小时|钟头|h(?:ou)?rs?)|(?P<days>天|日|days?)|(?P<weeks>周|星期|礼拜|weeks?)|(?P<months>月|months?)|(?P<years>年|years?))"
    r"\s*+(?:之?前|ago)",
    re.IGNORECASE,
)


def parse_time(value: object, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The aware time that ``value`` states, alone or inside other words; none outside of the years 1900 to 2100.

    Args:
        value: Text, epoch seconds or milliseconds (told apart by size), a date or a datetime.
        zone: Zone of times that name none, the service's.
        now: Aware; what "3分钟前" and a date without a year are counted from.
    """
    found = _parsed(value, zone, now)
    return found if found and found.year in _KNOWN else None


def _parsed(value: object, zone: ZoneInfo, now: datetime) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=zone)
    if isinstance(value, date):
        return datetime.combine(value, time(), zone)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _epoch(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    return _iso(text, zone) or _written(text, zone, now.astimezone(zone))


def is_relative(value: object) -> bool:
    """Whether ``value`` only says how long ago ("3分钟前"): the next visit will read another time off it."""
    if not isinstance(value, str) or not _HOW_LONG.search(value):
        return False
    text = _plain(value)
    return bool(_JUST_NOW.search(text) or _AGO.search(text)) and not _absolute(text, UTC)


def _iso(text: str, zone: tzinfo) -> datetime | None:
    """The common case, at a fiftieth of the price."""
    try:
        found = datetime.fromisoformat(text) if text[4:5] == "-" else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=zone)


def _plain(text: str) -> str:
    text = text[:_LONGEST]
    return text if text.isascii() else unicodedata.normalize("NFKC", text).replace("\u200b", "")


def _written(text: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    text = _plain(text)[:_LONGEST].strip()
    try:
        if re.fullmatch(r"\d{8,14}(?:\.\d+)?", text):
            found = _COMPACT.fullmatch(text)
            return (_moment(found, zone) if found else None) or _epoch(float(text))
        return _absolute(text, zone) or _near(text, now) or _ago(text, now) or _this_year(text, now)
    except (ValueError, OverflowError):
        return None


def _epoch(number: float) -> datetime | None:
    try:
        found = datetime.fromtimestamp(number / 1000 if number >= _MS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.year in _YEARS else None


def _absolute(text: str, zone: tzinfo) -> datetime | None:
    for order in _ABSOLUTE:
        for found in order.finditer(text):
            if moment := _moment(found, zone):
                return moment
    return None


def _moment(found: re.Match[str], zone: tzinfo, day: date | None = None) -> datetime | None:
    """What a match of one of the patterns above says; None where there is no such day or hour."""
    part: dict[str, Any] = found.groupdict()
    try:
        if day is None:
            month = _MONTHS[part["b"].lower()] if part.get("b") else int(part["m"])
            day = date(int(part["y"]) + (2000 if len(part["y"]) == len("26") else 0), month, int(part["d"]))
        fraction = int(((part.get("F") or "0") + "000000")[:6])
        clock = time(_hour(part), int(part["M"] or 0), int(part["S"] or 0), fraction)
    except ValueError:
        return None
    moment = datetime.combine(day, clock)
    return moment.replace(tzinfo=_zone(part, zone, moment))


def _hour(part: dict[str, Any]) -> int:
    hour = int(part["H"] or 0)
    half = part.get("half") or part.get("ampm") or ""
    if half in {"下午", "傍晚", "晚上", "p", "P"} or (half == "中午" and hour < _NOON - 1):
        return hour + _NOON if hour < _NOON else hour
    return 0 if half in {"凌晨", "上午", "早上", "a", "A"} and hour == _NOON else hour


def _zone(part: dict[str, Any], zone: tzinfo, moment: datetime) -> tzinfo:
    name = part.get("zone")
    if name in {"Z", "UTC", "GMT"}:
        return UTC
    # CST is Shanghai's own name for its time, and Chicago's.
    if name in _US_ZONES and moment.replace(tzinfo=zone).tzname() != name:
        return timezone(timedelta(hours=_US_ZONES[name]))
    if offset := part.get("utc") or part.get("off"):
        digits = offset[1:].replace(":", "")
        hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > len("08") else (digits, "0")
        shift = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-shift if offset[0] == "-" else shift)
    return zone


def _near(text: str, now: datetime) -> datetime | None:
    found = _NEAR_DAY.search(text)
    if not found:
        return None
    back = 2 if found["two"] else 1 if found["one"] or found["eve"] else 0
    return _moment(found, now.tzinfo or UTC, now.date() - timedelta(days=back))


def _ago(text: str, now: datetime) -> datetime | None:
    if _JUST_NOW.search(text):
        return now
    found = _AGO.search(text)
    if not found:
        return None
    number = _NUMERALS.get(found["n"].lower()) or float(found["n"])
    unit = str(found.lastgroup)
    if unit in {"months", "years"}:
        months = now.year * 12 + now.month - 1 - int(number * (12 if unit == "years" else 1))
        return now.replace(year=months // 12, month=months % 12 + 1, day=min(now.day, 28))
    return now - timedelta(**{unit: number})


def _this_year(text: str, now: datetime) -> datetime | None:
    """A date without a year: the latest such that is not in the future."""
    for found in _YEARLESS.finditer(text):
        if found["sep"] != "月" and not found["H"] and found[0] != text:
            continue  # "用了5-6天" is no date
        for year in range(now.year, now.year - 9, -1):
            try:
                day = date(year, int(found["m"]), int(found["d"]))
            except ValueError:
                continue
            moment = _moment(found, now.tzinfo or UTC, day)
            if moment and moment <= now:
                return moment
    return None

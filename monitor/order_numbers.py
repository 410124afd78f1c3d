"""Order numbers that buyers wrote into their texts, hidden where a text leaves the house.

Staff need them, so they stay in the store and on the desk (`monitor.privacy`); reports and what guests see do not.
"""

import re
from datetime import datetime

_LABELLED = re.compile(
    r"(?P<label>(?:[订定]单|下单|交易|(?<![A-Za-z])(?i:order))(?:编号|号码?|(?i:\s?(?:id|number|no\.?)))?[\s:：#=是为]{0,4})"
    r"(?P<number>[A-Za-z]{0,4}[0-9](?:-?[0-9]){5,31})(?![0-9])"
)
_LONG = re.compile(r"(?<![0-9.])[0-9]{12,}(?!\.[0-9])")
_DAY = re.compile(r"(?:19|20)[0-9]{2}-?(?:0?[1-9]|1[0-2])-?(?:0?[1-9]|[12][0-9]|3[01])")
_BARCODE = re.compile(r"69[0-9]{11}")  # EAN-13 of goods made in China
_KEPT = 4
_TIMES = {len("202611221530"): "%Y%m%d%H%M", len("20261122153000"): "%Y%m%d%H%M%S"}
_CENTURIES = ("19", "20")


def hide_orders(text: str) -> str:
    """Stars for order numbers but their last four characters; the text stays as long as it was.

    One is what is called so, or has twelve digits or more. Days, moments and barcodes are none.
    """
    text = _LABELLED.sub(lambda found: found["label"] + _labelled(found["number"]), text)
    return _LONG.sub(lambda found: _long(found[0]), text)


def _labelled(number: str) -> str:
    return number if _DAY.fullmatch(number) else _hidden(number)


def _long(digits: str) -> str:
    return digits if _moment(digits) or _barcode(digits) else _hidden(digits)


def _hidden(number: str) -> str:
    return "*" * (len(number) - _KEPT) + number[-_KEPT:]


def _moment(digits: str) -> bool:
    """Whether they read as ``202611221530``, seconds or none."""
    form = _TIMES.get(len(digits))
    if form is None or not digits.startswith(_CENTURIES):
        return False
    try:
        datetime.strptime(digits, form)  # noqa: DTZ007 — only whether it is one
    except ValueError:
        return False
    return True


def _barcode(digits: str) -> bool:
    if not _BARCODE.fullmatch(digits):
        return False
    return (sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))) % 10 == 0

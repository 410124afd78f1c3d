"""What the doors of chat providers share: from a button's action and subject to a click."""

import re

from fastapi import HTTPException

from alerts.actions import Click, Door
from monitor.moves import Action
from monitor.text import clean
from monitor.transitions import ACTIONS

UNREADABLE = "没有看懂这次点击。"
_ABOUT = re.compile(r"(case|crisis):([0-9]{1,9})")


def click(door: Door, key: str, person: str, what: str, about: str) -> Click | None:
    """The click on a button of ours; None for a button that is none.

    Args:
        door: Where it came in.
        key: The same click delivered again has the same.
        person: The provider's id of who clicked.
        what: The action.
        about: ``case:12``.

    Raises:
        HTTPException: 400, it is about nothing of ours.
    """
    if what not in ACTIONS:
        return None
    subject = _ABOUT.fullmatch(about)
    if subject is None:
        raise HTTPException(400, UNREADABLE)
    return Click(door, clean(key)[:200], clean(person)[:50], Action(what, subject[1], int(subject[2])))

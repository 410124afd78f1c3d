"""What the doors of chat providers share: from a button's action and subject to a click, and what became of it."""

import asyncio
import re

import structlog
from fastapi import HTTPException

from alerts.actions import Click, Door, Outcome, handle
from monitor.core import Core
from monitor.moves import Action
from monitor.text import clean
from monitor.transitions import ACTIONS

UNREADABLE = "没有看懂这次点击。"
_log = structlog.get_logger()
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


async def outcome(core: Core, asked: Click, within: float) -> Outcome:
    """What became of a click; after so many seconds, or where it failed, what to tell whoever clicked."""
    doing = asyncio.create_task(asyncio.to_thread(handle, core, asked))
    try:
        return await asyncio.wait_for(asyncio.shield(doing), within)
    except TimeoutError:
        return Outcome(done=False, text="还没记下，请稍等再看；卡片没有变就再点一次。")
    except Exception:  # noqa: BLE001 — the person must hear of any failure
        _log.exception("click_failed", door=asked.door, action=asked.action.what)
        return Outcome(done=False, text="没能记下这一步，请再点一次；还不行就请管理员看日志。")

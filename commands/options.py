"""Options that several commands share, how their values are read, and how a pass is told."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.errors import WrongCall

if TYPE_CHECKING:
    from monitor.core import Core

Json = Annotated[bool, typer.Option("--json", help="标准输出只有一个 JSON 对象。")]


def day(value: str | None, core: "Core") -> date:
    """The day that ``--date`` names; today in the shops' zone where it names none.

    Raises:
        WrongCall: it is no date.
    """
    if value is None:
        return core.clock.now().astimezone(core.settings.zone).date()
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise WrongCall(f"--date: 应为 YYYY-MM-DD，实为 {value!r}") from None


def moment(value: str | None, core: "Core") -> datetime | None:
    """The time that ``--since`` names, in the shops' zone where it has none of its own.

    Raises:
        WrongCall: it is no time.
    """
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise WrongCall(f"--since: 应为 ISO 时间，如 2026-11-01 或 2026-11-01T08:00+08:00，实为 {value!r}") from None
    return at if at.tzinfo else at.replace(tzinfo=core.settings.zone)


def known(what: str, value: str, choices: Sequence[str]) -> str:
    """``value``, which is one of ``choices``.

    Raises:
        WrongCall: it is not; says what comes nearest.
    """
    from monitor.config import nearest

    if value not in choices:
        raise WrongCall(f"{what}: 没有 {value!r}{nearest(value, choices)}")
    return value


def tell(result: dict[str, Any], as_json: bool, stuck: Sequence[str] = ("dead",)) -> int:
    """Print a ledger; exit status 1 where a source failed or messages are in one of the states ``stuck``."""
    from monitor import printing

    printing.as_json(result) if as_json else printing.ledger(result)
    failed = any(line["status"] != "ok" for line in result["sources"])
    return int(failed or any(result["outbox"][state] for state in stuck))

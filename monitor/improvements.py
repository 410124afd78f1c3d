"""What was mended and when, entered by people: the reports tell whether the complaint fell."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from monitor import categories, db
from monitor.audit import Refused, note
from monitor.config import nearest
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Improvement, Product
from monitor.privacy import mask
from monitor.text import clean

LONGEST = 200
"""Characters of what was done."""
_FIRST_YEAR = 2000
_SOME = 2000  # products among which the one that was meant is looked for
Fell = Literal["fell", "rose", "same", "early"]
VERDICTS: dict[Fell, str] = {"fell": "降了", "rose": "反而升了", "same": "看不出变化", "early": "还太早"}
"""What may be said of a complaint after what was to end it."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A complaint before and after what was to end it.

    Attributes:
        days: How many days after it are counted, at most 28.
        before: Complaints, and all feedback, of the 28 days before.
        after: The same of the days after.
        interval: 95 % interval of the change of the rate, 0.01 being a percentage point.
        verdict: What may be said.
    """

    days: int
    before: tuple[int, int]
    after: tuple[int, int]
    interval: tuple[float, float]
    verdict: Fell


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody enters.

    Attributes:
        what: What was done, e.g. ``加固包装``.
        category: The complaint that it is to end: a code or its Chinese name.
        day: Since when it is in place.
        product: The product, as reviews bear it; "" for all.
        shop: Id of the shop; "" for all.
    """

    what: str
    category: str
    day: date
    product: str = ""
    shop: str = ""


def add(core: Core, entry: Entry, actor: str, door: str) -> Improvement:
    """Enter an improvement.

    Args:
        core: Settings, store and clock.
        entry: What.
        actor: Who enters it.
        door: And where.

    Raises:
        WrongCall: something is empty, unknown, in the future, or entered already.
    """
    now = core.clock.now()
    with db.writing(core.engine) as session:
        row = Improvement(**_checked(core, session, entry), actor=actor)
        session.add(row)
        session.flush()
        note(session, now, "improvement", row.id or 0, "improvement.added", actor, door, after=_told(core, row))
    return row


def change(core: Core, number: int, entry: Entry, seen: str, actor: str, door: str) -> Improvement:
    """Say it better; raises as `add` does.

    Args:
        core: Settings, store and clock.
        number: Its id.
        entry: What it is now.
        seen: The `mark` of what the person saw; "" where that does not matter.
        actor: Who.
        door: And where.

    Raises:
        Refused: it was withdrawn, or somebody was faster.
    """
    with db.writing(core.engine) as session:
        row = _current(core, session, number, seen)
        before = _told(core, row)
        for name, value in _checked(core, session, entry, row).items():
            setattr(row, name, value)
        session.add(row)
        after = _told(core, row)
        if after != before:
            now = core.clock.now()
            note(session, now, "improvement", number, "improvement.changed", actor, door, before, after)
    return row


def withdraw(core: Core, number: int, seen: str, actor: str, door: str) -> None:
    """Take it back: no further report speaks of it; the audit keeps it. Raises as `change` does."""
    with db.writing(core.engine) as session:
        row = _current(core, session, number, seen)
        before = _told(core, row)
        session.delete(row)
        note(session, core.clock.now(), "improvement", number, "improvement.withdrawn", actor, door, before)


def listing(session: Session, most: int = 100, skip: int = 0, shops: Collection[str] = ()) -> Sequence[Improvement]:
    """The newest improvements first; of these shops alone where some are named."""
    newest = select(Improvement).order_by(col(Improvement.done_at).desc(), col(Improvement.id).desc())
    if shops:
        newest = newest.where(col(Improvement.shop_id).in_(shops))
    return session.exec(newest.limit(most).offset(skip)).all()


def mark(core: Core, row: Improvement) -> str:
    """A short mark of what it says: another one tells that somebody changed it meanwhile."""
    return hashlib.sha256(json.dumps(_told(core, row)).encode()).hexdigest()[:16]


def entered(row: Improvement, zone: ZoneInfo) -> Entry:
    """What was entered."""
    return Entry(row.what, row.category, row.done_at.astimezone(zone).date(), row.product, row.shop_id or "")


def _told(core: Core, row: Improvement) -> dict[str, str]:
    said = asdict(entered(row, core.settings.zone))
    return {name: str(value) for name, value in said.items()}


def _current(core: Core, session: Session, number: int, seen: str) -> Improvement:
    row = session.get(Improvement, number)
    if row is None:
        raise Refused("这项改进已经撤回了")
    if seen and seen != mark(core, row):
        raise Refused("刚刚被别人改过，请看一眼最新情况再操作")
    return row


def _checked(core: Core, session: Session, entry: Entry, mine: Improvement | None = None) -> dict[str, Any]:
    """The columns of what is entered."""
    names = categories.complaints()
    code = {name: code for code, name in names.items()}.get(entry.category, entry.category)
    said = mask(clean(entry.what)).text[:LONGEST]
    shops = [one.id for one in core.settings.shops]
    if not said:
        raise WrongCall("改进了什么，要写一句")
    if code not in names:
        raise WrongCall(f"--category: 没有 {code!r} 这个类别{nearest(code, [*names, *names.values()])}")
    if entry.shop and entry.shop not in shops:
        raise WrongCall(f"--shop: 没有 {entry.shop!r}{nearest(entry.shop, shops)}")
    now = core.clock.now()
    if entry.day > now.astimezone(core.settings.zone).date():
        raise WrongCall(f"--date: {entry.day} 还没到，改进做了以后再登记")
    if entry.day.year < _FIRST_YEAR:
        raise WrongCall(f"--date: {entry.day} 太久以前了")
    if entry.product:
        _known(session, entry.product)
    done = min(datetime.combine(entry.day, time(), core.settings.zone), now)
    made: dict[str, Any] = {"what": said, "category": code, "product": entry.product}
    made |= {"shop_id": entry.shop or None, "done_at": done}
    same = session.exec(select(Improvement).where(*(getattr(Improvement, name) == made[name] for name in made))).first()
    if same is not None and same is not mine:
        raise WrongCall(f"这项改进登记过了，是 #{same.id}")
    return made


def _known(session: Session, product: str) -> None:
    if session.exec(select(Product.id).where(Product.name == product).limit(1)).first() is None:
        names = session.exec(select(Product.name).distinct().limit(_SOME)).all()
        close = nearest(product, names).partition("；")[0]  # the list of all would be long
        raise WrongCall(f"--product: 评价里没有 {product!r} 这件商品{close or '，要和评价里的商品名一字不差'}")

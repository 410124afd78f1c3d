"""What was mended and when, entered by people: the reports tell whether the complaint fell."""

from collections.abc import Sequence
from datetime import date, datetime, time

from sqlmodel import Session, col, select

from monitor import categories, db
from monitor.audit import note
from monitor.config import nearest
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Improvement
from monitor.privacy import mask
from monitor.text import clean

_LONGEST = 200


def add(
    core: Core, what: str, category: str, day: date, *, product: str = "", shop: str = "", actor: str, door: str
) -> Improvement:
    """Enter an improvement.

    Args:
        core: Settings, store and clock.
        what: What was done, e.g. ``加固包装``.
        category: The complaint that it is to end: a code or its Chinese name.
        day: Since when it is in place.
        product: The product; "" for all.
        shop: Id of the shop; "" for all.
        actor: Who enters it.
        door: And where.

    Raises:
        WrongCall: something is empty, unknown, or in the future.
    """
    names = categories.complaints()
    code = {name: code for code, name in names.items()}.get(category, category)
    said = mask(clean(what)).text[:_LONGEST]
    shops = [one.id for one in core.settings.shops]
    if not said:
        raise WrongCall("改进了什么，要写一句")
    if code not in names:
        raise WrongCall(f"--category: 没有 {category!r} 这个类别{nearest(category, [*names, *names.values()])}")
    if shop and shop not in shops:
        raise WrongCall(f"--shop: 没有 {shop!r}{nearest(shop, shops)}")
    now = core.clock.now()
    if day > now.astimezone(core.settings.zone).date():
        raise WrongCall(f"--date: {day} 还没到，改进做了以后再登记")
    done = min(datetime.combine(day, time(), core.settings.zone), now)
    row = Improvement(shop_id=shop or None, category=code, product=product, what=said, done_at=done, actor=actor)
    with db.writing(core.engine) as session:
        session.add(row)
        session.flush()
        after = {"what": said, "category": code, "product": product, "shop": shop, "day": day.isoformat()}
        note(session, now, "improvement", row.id or 0, "added", actor, door, after=after)
    return row


def listing(session: Session, most: int = 100) -> Sequence[Improvement]:
    """The newest improvements first."""
    newest = select(Improvement).order_by(col(Improvement.done_at).desc(), col(Improvement.id).desc())
    return session.exec(newest.limit(most)).all()

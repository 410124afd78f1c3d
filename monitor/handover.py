"""The end of a duty: what somebody has not finished goes to who is on duty then, and people are told once.

What was handled is remembered up to a moment, in the same transaction: two services hand over once, and after a long
stop there is one hand-over, from those who were on duty meanwhile to those who are now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from monitor import assign, db, known, rota, timers
from monitor.assign import Pick, Pool
from monitor.audit import change, record, subject_of, updated
from monitor.core import Core
from monitor.models import Case, Crisis, Person, Timer
from monitor.notices import Notice
from monitor.rota import StandIns
from monitor.states import CRISIS_OPEN

_MEMORY = "hand_over"
_LONGEST = timedelta(days=14)  # of a stop: who was on duty before that is not asked
_WRONG = timedelta(hours=1)  # a memory so far ahead was made by a clock that ran wrong
_UNFINISHED = ("received", "assigned", "contacted")
LISTED = 20
"""Cases and crises of a hand-over that its notice names; the others are counted."""

_Rows = Sequence[Case | Crisis]


@dataclass(frozen=True, slots=True)
class _Handed:
    """A row that went from somebody ("" for nobody) to somebody."""

    row: Case | Crisis
    giver: str
    taker: str


def hand_over(core: Core) -> int:
    """Hand over what is due to be, since this was last done; wanted about once a minute.

    Returns:
        How many cases and crises went to somebody else.
    """
    policy = core.settings.policy.assign
    if not core.settings.rotas or not (policy.hand_over or policy.mode == "auto"):
        return 0
    with db.writing(core.engine) as session:
        now = core.clock.now()
        memory = known.hold(session, _MEMORY, now)
        since, known_since = memory.at, bool(memory.value)
        if known_since and now <= since < now + _WRONG:
            return 0
        memory.value, memory.at = {"handled": True}, now
        session.add(memory)
        if not known_since or since > now:
            return 0
        since = max(since, now - _LONGEST)
        swaps = rota.stand_ins(session, since, now)
        shops = (*(shop.id for shop in core.settings.shops), None)
        changed = ((shop_id, *_changed(core, swaps, shop_id, since, now)) for shop_id in shops)
        return sum(_shop(core, session, shop_id, gone, came, now) for shop_id, gone, came in changed if gone or came)


def _shop(core: Core, session: Session, shop_id: str | None, gone: set[str], came: set[str], now: datetime) -> int:
    """What is handed over of one shop."""
    people = {row.id: row.name for row in session.exec(select(Person))}
    pool, policy = Pool(session, core.settings, now), core.settings.policy.assign
    rows: list[Case | Crisis] = []
    if gone and policy.hand_over:
        mine = [n for n, name in people.items() if name in gone]
        rows += _held(session, Crisis, col(Crisis.state).in_(CRISIS_OPEN), shop_id, col(Crisis.assignee_id).in_(mine))
        rows += _held(session, Case, col(Case.state).in_(_UNFINISHED), shop_id, col(Case.assignee_id).in_(mine))
    if came and policy.mode == "auto":
        waiting = col(Case.assignee_id).is_(None) & col(Case.backlog).is_(False)
        rows += _held(session, Case, col(Case.state) == "received", shop_id, waiting)
    handed = [one for row in rows if (one := _hand(core, session, pool, row, people, now))]
    if handed:
        core.notify(session, [_notice(session, shop_id, handed, now), *(updated(one.row) for one in handed)])
    return len(handed)


def _changed(
    core: Core, swaps: StandIns, shop_id: str | None, since: datetime, now: datetime
) -> tuple[set[str], set[str]]:
    """Who was on duty at some time since then and is not now; and who is now and was not then."""
    moments = [since, *rota.changes(core.settings, swaps, since, now)]
    before = [set(rota.on_duty_by(core.settings, swaps, shop_id, at)) for at in moments]
    present = set(rota.on_duty_by(core.settings, swaps, shop_id, now))
    if not present:  # nobody takes it: whoever holds it keeps it
        return set(), set()
    return set().union(*before) - present, present - before[0]


def _held(session: Session, model: Any, state: Any, shop_id: str | None, holder: Any) -> _Rows:
    shop = model.shop_id == shop_id if shop_id is not None else col(model.shop_id).is_(None)
    mine = select(model).where(shop, state, holder).order_by(col(model.id))
    rows: _Rows = session.exec(mine.with_for_update(), execution_options={"populate_existing": True}).all()
    return rows


def _hand(
    core: Core, session: Session, pool: Pool, row: Case | Crisis, people: dict[int | None, str], now: datetime
) -> _Handed | None:
    giver = people.get(row.assignee_id, "")
    if isinstance(row, Crisis):
        found = pool.take_over(row.shop_id, [row.category], "")
    elif giver:
        found = pool.take_over(row.shop_id, row.categories, row.tier)
    else:
        found = pool.pick(row.shop_id, row.categories, row.tier)
    if found is None:
        return None
    before = {"state": row.state, "assignee_id": row.assignee_id}
    state = row.state if giver else assign.held(row.state)
    change(session, row, now, assignee_id=found.person.id, state=state)
    after = assign.told(state, found) | ({"note": _why(giver, found)} if giver else {})
    record(session, now, row, "rota.handover" if giver else "assign", before=before, after=after)
    timers.touch(core, session, row, now)
    return _Handed(row, giver, found.person.name)


def _why(giver: str, found: Pick) -> str:
    return f"{giver}下班，交给{found.person.name}：{found.why}"


def _notice(session: Session, shop_id: str | None, handed: Sequence[_Handed], now: datetime) -> Notice:
    """One for the shop and this change of duty."""
    pairs: dict[tuple[str, str], int] = {}
    for one in handed:
        pairs[one.giver, one.taker] = pairs.get((one.giver, one.taker), 0) + 1
    due = _next_deadlines(session, [one.row for one in handed])
    never = datetime.max.replace(tzinfo=now.tzinfo)
    urgent = sorted(handed, key=lambda one: due.get(_key(one.row), never))
    facts = {
        "pairs": [[giver, taker, count] for (giver, taker), count in pairs.items()],
        "rows": [
            {"subject": subject_of(one.row), "id": one.row.id, "from": one.giver, "to": one.taker}
            | ({"due_at": at.isoformat()} if (at := due.get(_key(one.row))) else {})
            for one in urgent[:LISTED]
        ],
        "to": list(dict.fromkeys(one.taker for one in handed)),
    }
    return Notice("rota.handover", f"rota:{shop_id or ''}:{now.isoformat()}", "rota", 0, shop_id, facts)


def _key(row: Case | Crisis) -> tuple[str, int | None]:
    return subject_of(row), row.id


def _next_deadlines(session: Session, rows: _Rows) -> dict[tuple[str, int | None], datetime]:
    """The next deadline of each row that is not met yet."""
    found: dict[tuple[str, int | None], datetime] = {}
    for subject, owner in (("case", Timer.case_id), ("crisis", Timer.crisis_id)):
        ids = [row.id for row in rows if subject_of(row) == subject]
        open_ones = (Timer.step == "deadline", col(Timer.met_at).is_(None), Timer.state != "cancelled")
        due = select(owner, func.min(Timer.due_at)).where(col(owner).in_(ids), *open_ones).group_by(col(owner))
        found |= {(subject, row_id): at for row_id, at in session.exec(due)}
    return found

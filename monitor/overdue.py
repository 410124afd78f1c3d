"""What people are told of timers that fired: one by one, many in a list, or all of a long stop in one message."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, or_, select

from monitor import clocks
from monitor.core import Core
from monitor.models import Case, Crisis, Event, Message, Timer
from monitor.notices import Kind, Notice

_NOTICE: dict[str, Kind] = {"reminder": "timer.reminder", "deadline": "timer.breached", "stalled": "timer.stalled"}
_QUIET_STEPS = ("reminder", "stalled")
_LISTED = 10  # cases that a digest names; the others are counted
_CHUNK = 5000  # ids in one statement


def was_stopped(session: Session, before: datetime) -> bool:
    """Whether deadlines or rungs of more than one stage or row should have fired before that moment."""
    late = (
        select(Timer.crisis_id, Timer.case_id, Timer.stage)
        .where(
            clocks.ARMED,
            Timer.due_at <= before,
            col(Timer.step).not_in(_QUIET_STEPS),
        )
        .distinct()
        .limit(2)
    )
    return len(session.exec(late).all()) > 1


def notices(
    core: Core, session: Session, timers: Sequence[Timer], asked: Collection[int | None], now: datetime
) -> list[Notice]:
    """A notice for each timer, or one for many cases at once; none for reminders of what is past.

    Args:
        core: The common ground.
        session: The sweep's transaction.
        timers: What fired.
        asked: Ids of those of them that go to the lead, for their holder was asked often enough.
        now: When.
    """
    past = _past(session, [timer for timer in timers if timer.step == "reminder"], now)
    timers = [timer for timer in timers if timer.id not in past]
    since = _last_done(session, [timer for timer in timers if timer.step == "stalled"])
    facts = {timer.id: _facts(timer, since, asked) for timer in timers}
    return [*_crisis_notices(session, timers, facts), *_case_notices(core, session, timers, facts)]


def _past(session: Session, reminders: Sequence[Timer], now: datetime) -> set[int | None]:
    """Reminders of deadlines that are over."""
    over: set[tuple[Any, ...]] = set()
    for start in range(0, len(reminders), _CHUNK):
        part = reminders[start : start + _CHUNK]
        whose = (col(owner).in_({getattr(timer, owner.key) for timer in part} - {None}) for owner in _OWNERS)
        deadlines = select(Timer.crisis_id, Timer.case_id, Timer.stage, Timer.generation).where(
            or_(*whose), Timer.step == "deadline", Timer.due_at <= now
        )
        over |= {tuple(row) for row in session.exec(deadlines)}
    return {timer.id for timer in reminders if (*_stage(timer), timer.generation) in over}


_OWNERS: tuple[Any, ...] = (Timer.crisis_id, Timer.case_id)


def _stage(timer: Timer) -> tuple[int | None, int | None, str]:
    return timer.crisis_id, timer.case_id, timer.stage


def _about(timer: Timer) -> tuple[str, int]:
    return ("crisis", timer.crisis_id) if timer.crisis_id else ("case", timer.case_id or 0)


def _last_done(session: Session, stalled: Sequence[Timer]) -> dict[tuple[str, int], datetime]:
    """When a person last did something about each of these cases and crises."""
    since: dict[tuple[str, int], datetime] = {}
    for subject in ("crisis", "case"):
        ids = {row_id for name, row_id in map(_about, stalled) if name == subject}
        if ids:
            last = (
                select(Event.subject_id, func.max(Event.at))
                .where(Event.subject == subject, col(Event.subject_id).in_(ids), Event.door != "system")
                .group_by(col(Event.subject_id))
            )
            since |= {(subject, row_id): at for row_id, at in session.exec(last)}
    return since


def _facts(timer: Timer, since: dict[tuple[str, int], datetime], asked: Collection[int | None]) -> dict[str, Any]:
    if timer.step == "stalled":
        at = since.get(_about(timer), timer.due_at)
        return {"stage": timer.stage, "since": at.isoformat()} | ({"rung": "lead"} if timer.id in asked else {})
    return {"stage": timer.stage, "due_at": timer.due_at.isoformat()}


def _notice(timer: Timer, shop_id: str | None, facts: dict[str, Any]) -> Notice:
    subject, row_id = _about(timer)
    key = f"{subject}:{row_id}:{timer.stage}:{timer.step}:{timer.generation}"
    return Notice(_NOTICE.get(timer.step, "timer.rung"), key, subject, row_id, shop_id, facts)


def _crisis_notices(
    session: Session, timers: Sequence[Timer], facts: dict[int | None, dict[str, Any]]
) -> Iterator[Notice]:
    crises = _crises(session, timers)
    for timer in timers:
        if timer.crisis_id:
            crisis, more = crises[timer.crisis_id], facts[timer.id]
            if _is_rung(timer):
                more = more | {"due_at": _deadline(timer, crisis).isoformat(), "rung": _rung(timer, crisis)}
            yield _notice(timer, crisis.shop_id, more)


def _crises(session: Session, timers: Sequence[Timer]) -> dict[int, Crisis]:
    ids = {timer.crisis_id for timer in timers if timer.crisis_id}
    return {row.id or 0: row for row in session.exec(select(Crisis).where(col(Crisis.id).in_(ids)))}


def _is_rung(timer: Timer) -> bool:
    return timer.step.startswith("rung")


def _rung(timer: Timer, crisis: Crisis) -> str:
    return str(crisis.policy["ladder"][int(timer.step.removeprefix("rung")) - 1])


def _deadline(timer: Timer, crisis: Crisis) -> datetime:
    """The deadline that this timer is, or that its rung follows."""
    after = int(timer.step.removeprefix("rung")) - 1 if _is_rung(timer) else 0
    return timer.due_at - after * timedelta(seconds=crisis.policy["step"])


def _case_notices(
    core: Core, session: Session, timers: Sequence[Timer], facts: dict[int | None, dict[str, Any]]
) -> list[Notice]:
    """One notice for each case, or one for all where many fall due at once: a night's backlog is no storm."""
    mine = [timer for timer in timers if timer.case_id]
    shops = {case.id: case.shop_id for case in _cases(session, mine)}
    groups: dict[tuple[str, str, str | None], list[Timer]] = defaultdict(list)
    for timer in mine:
        groups[timer.stage, timer.step, shops[timer.case_id]].append(timer)
    told = []
    for (stage, step, shop_id), group in groups.items():
        if len(group) > core.settings.policy.case.single_cards:
            listed = {"case_ids": [timer.case_id for timer in group], "stage": stage, "step": step}
            key = f"cases:{stage}:{step}:{group[0].id}"
            told.append(Notice("cases.overdue", key, "case", group[0].case_id or 0, shop_id, listed))
        else:
            told += [_notice(timer, shop_id, facts[timer.id]) for timer in group]
    return told


def _cases(session: Session, timers: Sequence[Timer]) -> list[Any]:
    """Id, shop and holder of the timers' cases."""
    ids = list({timer.case_id for timer in timers if timer.case_id})
    rows: list[Any] = []
    for start in range(0, len(ids), _CHUNK):
        part = col(Case.id).in_(ids[start : start + _CHUNK])
        rows += session.exec(select(Case.id, Case.shop_id, Case.assignee_id).where(part)).all()
    return rows


def digest(
    core: Core, session: Session, timers: Sequence[Timer], asked: Collection[int | None], now: datetime
) -> list[Notice]:
    """One notice of everything that should have been told while nobody swept, and edits of the cards concerned.

    Reminders of what is still to come are told beside it. The facts of the digest: ``crises`` and ``cases`` (the first
    of them) as ``[[id, [[stage, ISO time], …]], …]``, ``count`` of cases, ``stages`` (stage → how many cases),
    ``holders`` (ids of persons) and ``rungs`` (whom the ladder would have reached).
    """
    reminders = [timer for timer in timers if timer.step in _QUIET_STEPS]
    late = [timer for timer in timers if timer.step not in _QUIET_STEPS]
    crises = _crises(session, late)
    cases: dict[int, list[list[str]]] = defaultdict(list)
    for timer in late:
        if timer.case_id:
            cases[timer.case_id].append([timer.stage, timer.due_at.isoformat()])
    holders = {case.assignee_id for case in _cases(session, late)} | {row.assignee_id for row in crises.values()}
    facts = {
        "crises": _missed(late, crises),
        "cases": [[case_id, stages] for case_id, stages in cases.items()][:_LISTED],
        "count": len(cases),
        "stages": dict(Counter(stage for stages in cases.values() for stage, _ in stages)),
        "holders": sorted(person for person in holders if person is not None),
        "rungs": sorted(
            {_rung(timer, crises[timer.crisis_id]) for timer in late if timer.crisis_id and _is_rung(timer)}
        ),
    }
    whole = Notice("timers.digest", f"timers:{timers[0].id}:digest", "timers", timers[0].id or 0, None, facts)
    edits = _edits(session, [timer for timer in late if timer.step == "deadline"])
    return [whole, *edits, *notices(core, session, reminders, asked, now)]


def _missed(late: Sequence[Timer], crises: dict[int, Crisis]) -> list[list[Any]]:
    """The stages of each crisis whose deadline or rungs came due, with their deadlines."""
    missed: dict[int, dict[str, str]] = defaultdict(dict)
    for timer in late:
        if timer.crisis_id:
            missed[timer.crisis_id][timer.stage] = _deadline(timer, crises[timer.crisis_id]).isoformat()
    return [[crisis_id, [list(stage) for stage in stages.items()]] for crisis_id, stages in missed.items()]


def _edits(session: Session, breached: Sequence[Timer]) -> list[Notice]:
    """The cards of what ran out are brought up to date, where there are any."""
    last = {_about(timer): timer.id for timer in breached}
    posted: set[tuple[str, int]] = set()
    for subject in ("crisis", "case"):
        ids = [row_id for name, row_id in last if name == subject]
        for start in range(0, len(ids), _CHUNK):
            mine = (Message.subject == subject, col(Message.subject_id).in_(ids[start : start + _CHUNK]))
            posted |= {(subject, row_id) for row_id in session.exec(select(Message.subject_id).where(*mine))}
    return [
        Notice(
            "crisis.updated" if subject == "crisis" else "case.updated",
            f"{subject}:{row_id}:late:{last[subject, row_id]}",
            subject,
            row_id,
        )
        for subject, row_id in sorted(posted)
    ]

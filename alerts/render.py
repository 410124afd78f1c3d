"""A row of the outbox becomes a letter at the moment of sending, so that it tells the newest state."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, or_, select

from alerts import cards, clock_card, digest, handover, indicator_card, lists, remarks, upkeep_card
from alerts.cards import Links, Reader
from alerts.channel import Channel, Letter
from alerts.content import Card, Ping
from alerts.picks import Speaker
from monitor import queries
from monitor.core import Core
from monitor.models import Account, Event, Message, Outbox, Person
from monitor.queries import CaseView, CrisisView
from monitor.transitions import ACTIONS

CARDS = ("crisis.opened", "case.opened")
EDITS = ("crisis.updated", "case.updated")
ACTED = ("crisis.acted", "case.acted")
IN_PLACE = (*EDITS, *ACTED)
OPENINGS = (*CARDS, "cases.opened")
LISTS = ("cases.opened", "cases.overdue")
_LISTED_DEAD = 30
_PLAIN = {
    "source": remarks.source_card,
    "clock": clock_card.clock_card,
    "indicator": indicator_card.indicator_card,
    "upkeep": upkeep_card.upkeep_card,
}
"""Cards that say no more than their row, by its subject."""


@dataclass(frozen=True, slots=True)
class Stale:
    """There is nothing left to say, and why."""

    reason: str


def render(core: Core, session: Session, row: Outbox, channel: Channel, links: Links) -> Letter | Stale:
    """What the row has to say now.

    Raises:
        LookupError: what it is about is not in the store.
    """
    reader = _reader(core, session, row, channel, links)
    card = _card(session, row, reader)
    if isinstance(card, Stale):
        return card
    card = replace(card, ping=_pings(session, row, channel.kind), maybe_twice=row.maybe_twice)
    thread = _thread(session, row)
    keeps = row.kind in (*CARDS, *IN_PLACE)
    if row.kind in ACTED and not thread:
        return Stale("没有单独的卡片")
    return Letter(
        key=row.dedupe_key,
        target=row.target,
        card=card,
        at=core.clock.now(),
        live=f"{kept_as(row)}:{row.subject_id}" if keeps else "",
        carries=tuple(row.payload.get("carries", ())),
        kind=row.kind,
        shop=row.payload.get("shop") or "",
        since=row.created_at,
        thread=thread,
        eml=Path(row.payload["eml"]) if "eml" in row.payload else None,
    )


def _reader(core: Core, session: Session, row: Outbox, channel: Channel, links: Links) -> Reader:
    person, desk = None, False
    if not channel.clicks:
        if "@" in row.target:  # a group has no mailbox, and nobody's links go to a group
            known = select(Person).where(Person.email == row.target, col(Person.active)).order_by(col(Person.id))
            person = session.exec(known).first()
        desk = session.exec(select(Account.name).limit(1)).first() is not None
    settings = core.settings
    speaker = Speaker(settings)
    return Reader(core.clock.now(), settings.zone, settings.shop_name, links, channel.clicks, person, desk, speaker)


def _card(session: Session, row: Outbox, reader: Reader) -> Card | Stale:
    if row.kind in LISTS:
        return _list(session, row, reader)
    if row.kind in ACTED:
        return remarks.history_card(_acts(session, row), row, reader)
    if row.subject == "crisis":
        return _about_crisis(session, row, reader)
    if row.subject == "case":
        return _about_case(session, row, reader)
    return _about_the_house(session, row, reader)


def _acts(session: Session, row: Outbox) -> list[dict[str, Any]]:
    """What was done about the row's case or crisis, as it was told where the row goes."""
    acts = select(Outbox.payload).where(*_there(row), Outbox.kind == row.kind)
    found = session.execute(acts.order_by(col(Outbox.id))).scalars()
    return [act for act in found if "what" in act]  # what very old messages said is not kept


def _about_the_house(session: Session, row: Outbox, reader: Reader) -> Card:
    if plain := _PLAIN.get(row.subject):
        return plain(row, reader)
    if row.kind == "outbox.dead":
        return remarks.dead_card(row, *_dead(session, row), reader)
    if row.kind == "rota.handover":
        return handover.handover_card(session, row, reader)
    if row.kind == "timers.digest":
        return digest.digest_card(session, row, reader)
    return remarks.summary_card(row.payload)


def _about_crisis(session: Session, row: Outbox, reader: Reader) -> Card | Stale:
    view = queries.crisis_view(session, row.subject_id)
    if view is None:
        raise LookupError(f"库里没有危机 {row.subject_id}")
    if row.kind in (*CARDS, *EDITS):
        return cards.crisis_card(view, reader)
    name = cards.crisis_name(view, reader)
    if row.kind == "crisis.grew":
        return remarks.grown_card(row, view, name, reader)
    return _about_clock(view, row, name, reader)


def _about_case(session: Session, row: Outbox, reader: Reader) -> Card | Stale:
    view = queries.case_view(session, row.subject_id)
    if view is None:
        raise LookupError(f"库里没有差评 {row.subject_id}")
    if row.kind in (*CARDS, *EDITS):
        return cards.case_card(view, reader)
    return _about_clock(view, row, cards.case_name(view, reader), reader)


def _about_clock(view: CrisisView | CaseView, row: Outbox, name: str, reader: Reader) -> Card | Stale:
    """Breaches are always told; reminders and rungs not once the stage is done, nor reminders once it is overdue."""
    if row.kind == "timer.stalled":
        moved = digest.has_moved(view, row)
        return Stale("已经有进展") if moved else digest.stalled_card(row, name, view.assignee, reader)
    clock = view.clocks[row.payload["stage"]]
    if row.kind != "timer.breached" and (clock.met_at is not None or clock.state == "cancelled"):
        return Stale("这个时限已经了结")
    if row.kind == "timer.reminder" and clock.due_at <= reader.now:
        return Stale("已经超时，另有超时提醒")
    return remarks.timer_card(row, clock.due_at, name, view.assignee, reader)


def _list(session: Session, row: Outbox, reader: Reader) -> Card:
    views = queries.case_views(session, row.payload["page"])
    if not views:
        raise LookupError(f"库里没有差评 {row.payload['page'][:5]}")
    everything, first = row.payload["case_ids"], row.payload["first"]
    if row.kind == "cases.overdue":
        return lists.overdue_card(row, views, len(everything), first, reader)
    return lists.cases_card(views, queries.case_counts(session, everything), first, reader)


def _dead(session: Session, row: Outbox) -> tuple[list[Outbox], int]:
    mine = (Outbox.state == "dead", Outbox.channel == row.payload["channel"], Outbox.target == row.payload["target"])
    rows = session.exec(select(Outbox).where(*mine).order_by(col(Outbox.id))).all()
    return list(rows[:_LISTED_DEAD]), len(rows)


def _pings(session: Session, row: Outbox, kind: str) -> tuple[Ping, ...]:
    """Those called on, by the id the channel's kind knows them by."""
    names: list[Any] = row.payload.get("ping", [])
    if not names:
        return ()
    people = {person.name: person for person in session.exec(select(Person).where(col(Person.name).in_(names)))}
    return tuple(Ping(name, getattr(people.get(name), kind, "")) for name in names)


def _thread(session: Session, row: Outbox) -> str:
    """The card that this row answers, as the provider calls it."""
    if row.kind in (*CARDS, *EDITS) or row.subject not in ("case", "crisis"):
        return ""
    if first := row.payload.get("page_of"):
        page = select(Outbox.provider_ref).where(
            Outbox.dedupe_key == first, Outbox.channel == row.channel, Outbox.target == row.target
        )
        return session.exec(page).first() or ""
    return _ref(session, row, row.subject)


def kept_as(row: Outbox) -> str:
    """What the row's message is remembered as, to be edited in place: the card as its subject, the history apart."""
    return row.kind if row.kind in ACTED else row.subject


def was_posted(session: Session, row: Outbox) -> bool:
    """Whether the card, or the history, that the row edits may stand where the row goes."""
    if row.kind in ACTED:  # nothing else says that it was posted: whichever row tried may have done it
        tried = (Outbox.kind == row.kind, or_(Outbox.attempts > 1, (col(Outbox.id) != row.id) & (Outbox.attempts > 0)))
    else:
        tried = (Outbox.state == "sent", col(Outbox.kind).in_((*CARDS, *EDITS)))
    return session.exec(select(Outbox.id).where(*_there(row), *tried).limit(1)).first() is not None


def _there(row: Outbox) -> tuple[Any, ...]:
    """About the row's case or crisis, at its place."""
    return tuple(getattr(Outbox, name) == getattr(row, name) for name in ("subject", "subject_id", "channel", "target"))


def acted_since(session: Session, row: Outbox) -> bool:
    """Whether anybody did something with the row's case or crisis that its card does not show yet."""
    about = (Message.subject == row.subject, Message.subject_id == row.subject_id)
    place = (Message.channel == row.channel, Message.target == row.target)
    shown = select(Message.updated_at).where(*about, *place).scalar_subquery()
    done = (Event.door != "system", col(Event.what).in_(ACTIONS), Event.at >= shown)
    acted = select(Event.id).where(Event.subject == row.subject, Event.subject_id == row.subject_id, *done)
    return session.exec(acted.limit(1)).first() is not None


def card_ref(session: Session, row: Outbox) -> str:
    """The live card, or the history, that the row edits where it goes; empty when none is known."""
    return _ref(session, row, kept_as(row))


def _ref(session: Session, row: Outbox, subject: str) -> str:
    card = select(Message.provider_ref).where(
        Message.subject == subject,
        Message.subject_id == row.subject_id,
        Message.channel == row.channel,
        Message.target == row.target,
    )
    return session.exec(card).first() or ""

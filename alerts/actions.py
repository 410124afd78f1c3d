"""The one handler behind every door: a click is written down first, then done, once."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from monitor import audit, db, lifecycle
from monitor.audit import Refused
from monitor.core import Core
from monitor.models import Inbound, Person
from monitor.moves import Action, Actor
from monitor.privacy import mask
from monitor.text import clean
from monitor.transitions import ACTIONS

Door = Literal["slack", "dingtalk", "wecom", "feishu", "link", "desk", "api"]
_MOST_TO = 1000  # characters of a name, a number, or a list of codes


@dataclass(frozen=True, slots=True)
class Click:
    """What a person asked for, as one door delivered it.

    Attributes:
        door: Where it came in.
        key: The same click delivered again has the same key.
        person: The person's id at that provider, or the name at the doors ``link``, ``desk`` and ``api``.
        action: What is to be done.
        role: Of a program that acts as itself; empty where a person acts.
    """

    door: Door
    key: str
    person: str
    action: Action
    role: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a click.

    Attributes:
        done: Whether the action was done, now or by the same click before.
        text: One Chinese sentence for the person.
        person: The person's name; empty where nobody was recognised.
        lacking: It was refused only because what the action needs was not given with it.
    """

    done: bool
    text: str
    person: str = ""
    lacking: bool = False


def handle(core: Core, click: Click) -> Outcome:
    """Do what a click asks for, once: inbound row, change, event, timers and notices in one transaction.

    A double gets the first outcome and changes nothing; a refusal leaves nothing but the inbound row and its event.
    What the person wrote is cleaned, and personal data in it masked, before anything is stored.
    """
    click = replace(click, action=tidy(click.action))
    with db.writing(core.engine) as session:
        row = _receive(core, session, click)
        if row is None:
            first = found(session, click.door, click.key)
            assert first is not None  # the unique key said so
            return first
        outcome = _do(core, session, click)
        row.outcome, row.actor = outcome.text, outcome.person or click.person
        row.payload = {**row.payload, "done": outcome.done, "person": outcome.person}
        session.add(row)
        if not outcome.done:
            why = {"action": row.action, "reason": outcome.text}
            audit.note(session, row.at, row.subject, row.subject_id, "refused", row.actor, row.door, after=why)
        return outcome


def ready(session: Session, click: Click) -> Outcome:
    """Whether the person could do this now, if all that it needs were given; nothing is written down."""
    person = _person(session, click)
    if person is None:
        return _stranger(click)
    try:
        lifecycle.check(session, click.action, Actor(person.name, person.role, click.door))
    except Refused as refusal:
        return Outcome(False, str(refusal), person.name)
    return Outcome(True, "", person.name)


def found(session: Session, door: Door, key: str) -> Outcome | None:
    """What became of a click that came in before; None for a new one."""
    row = session.exec(select(Inbound).where(Inbound.door == door, Inbound.key == key)).one_or_none()
    return Outcome(row.payload["done"], row.outcome, row.payload["person"]) if row else None


def lacks(action: Action) -> bool:
    """Whether the action needs something that was not given with it."""
    needs = ACTIONS[action.what].needs if action.what in ACTIONS else ""
    return bool(needs) and not (action.note if needs == "note" else action.to).strip()


def _receive(core: Core, session: Session, click: Click) -> Inbound | None:
    action = click.action
    row = Inbound(
        door=click.door,
        key=click.key,
        at=core.clock.now(),
        actor=click.person,
        action=action.what,
        subject=action.subject,
        subject_id=action.subject_id,
        payload={"note": action.note, "to": action.to, **(action.more or {})},
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return None
    return row


def _do(core: Core, session: Session, click: Click) -> Outcome:
    person = _person(session, click)
    if person is None:
        return _stranger(click)
    try:
        with session.begin_nested():
            actor = Actor(person.name, person.role, click.door)
            return Outcome(True, lifecycle.act(core, session, click.action, actor), person.name)
    except Refused as refusal:
        return Outcome(False, str(refusal), person.name, lacks(click.action) and _may(click.action, person))


def _stranger(click: Click) -> Outcome:
    return Outcome(done=False, text=f"没有认出您（{click.person}），请让管理员把您加到配置的 people 里。")


def tidy(action: Action) -> Action:
    """The action as it is stored: what was written is cleaned, and personal data in it masked."""
    to = "".join(filter(str.isprintable, action.to))[:_MOST_TO]  # a name must stay as the config spells it
    more = {name: mask(clean(said)).text for name, said in (action.more or {}).items()}
    return replace(action, note=mask(clean(action.note)).text, to=to, more=more)


def _may(action: Action, person: Person) -> bool:
    return ACTIONS[action.what].allowed(action.subject, person.role)


def _person(session: Session, click: Click) -> Person | None:
    if click.role:
        return Person(name=click.person, role=click.role)
    known_by = Person.name if click.door in ("link", "desk", "api") else getattr(Person, click.door)
    wanted = select(Person).where(col(Person.active), col(known_by) == click.person, col(known_by) != "")
    return session.exec(wanted).first()

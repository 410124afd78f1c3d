"""Who hears what: notices become outbox rows in the same transaction, each once for every channel and target."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from alerts.channel import MAIL, load
from alerts.readers import with_a_login
from alerts.render import LISTS
from alerts.staff import Staff
from monitor.clock import Clock
from monitor.models import Outbox
from monitor.notices import Notice, Notify
from monitor.settings import Settings

Place = tuple[str, str]
_COPIED = ("evening", "weekly", "monthly")
_AFTERWARDS = timedelta(seconds=5)  # history yields to the cards, of which a place takes only so many
_HEAD_START = timedelta(hours=1)  # what has waited longer goes first: crises and clicks pass a flood of cases


def make_notify(settings: Settings, clock: Clock) -> Notify:
    """The house's way to tell people."""

    def notify(session: Session, notices: Sequence[Notice]) -> None:
        session.flush()
        now, staff = clock.now(), Staff(session, notices)
        _enqueue(session, [row for notice in notices for row in _rows(settings, staff, notice, now)])

    return notify


def silent_routes(settings: Settings) -> list[str]:
    """Routes that reach nobody: what happens is stored and shown, and no one is told."""
    routes = {"crisis": "危机", "case": "工单", "summary": "报告"}
    return [name for route, name in routes.items() if not _places(settings, getattr(settings.routes, route))]


def enqueue_report(
    session: Session, settings: Settings, key: str, kind: str, payload: dict[str, Any], now: datetime
) -> None:
    """Queue a finished report: its lines for channels, the mail for recipients and, in copy, for those above them.

    Args:
        session: The caller's transaction.
        settings: The config.
        key: Dedupe key: the same report is sent once.
        kind: ``daily``, ``evening``, ``weekly`` or ``monthly``.
        payload: ``{"title": str, "lines": [str, …], "eml": path of the finished mail}``; where those who cannot log in
            get another one, ``"guest_eml"``: its path.
        now: When.
    """
    places = _places(settings, settings.routes.summary)
    if kind in _COPIED and MAIL in settings.routes.summary and settings.smtp:
        places += [(MAIL, to) for to in settings.summaries.cc]
    said = {name: payload[name] for name in ("title", "lines")}
    desk = said | {"eml": payload["eml"]}
    guests = said | {"eml": payload.get("guest_eml", payload["eml"])}
    inside = with_a_login(session, settings)

    def told(place: Place) -> dict[str, Any]:
        if place[0] != MAIL:
            return said
        return desk if place[1].lower() in inside else guests

    _enqueue(session, [_row(key, place, f"report.{kind}", "report", 0, told(place), now) for place in places])


def enqueue_test(session: Session, settings: Settings, name: str, person: str, now: datetime) -> int:
    """Queue a message that says it is a test, to the places of one channel; one a minute, however often it is asked.

    Returns:
        To how many places it goes; none where the config has no such channel.
    """
    said = {"title": "【测试】评哨发来的测试消息", "lines": [f"{person}在试这个渠道。收到就是通了，不用处理。"]}
    key = f"test:{name}:{now:%Y%m%dT%H%M}"
    known = {channel.name for channel in settings.channels} | {MAIL}
    rows = [
        _row(key, place, "test", "test", 0, said, now) for place in _places(settings, [name] if name in known else [])
    ]
    _enqueue(session, rows)
    return len(rows)


def _enqueue(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        once = dialect.insert(Outbox).on_conflict_do_nothing(index_elements=["dedupe_key", "channel", "target"])
        session.execute(once, list(rows))


def _row(
    key: str, place: Place, kind: str, subject: str, subject_id: int, payload: dict[str, Any], now: datetime
) -> dict[str, Any]:
    return {
        "dedupe_key": key,
        "channel": place[0],
        "target": place[1],
        "kind": kind,
        "subject": subject,
        "subject_id": subject_id,
        "payload": payload,
        "state": "pending",
        "attempts": 0,
        "created_at": now,
        "not_before": now - _HEAD_START if subject == "crisis" else now,
        "lease_owner": "",
        "provider_ref": "",
        "maybe_twice": False,
        "last_error": "",
    }


def _rows(settings: Settings, staff: Staff, notice: Notice, now: datetime) -> Iterator[dict[str, Any]]:
    people = staff.called_on(notice)
    places = _to(settings, notice)
    if notice.kind in ("crisis.updated", "case.updated"):
        places = [place for place in places if _live(settings, place)]
    if "rung" in notice.facts and settings.smtp:
        places += [(MAIL, person.email) for person in people if person.email]
    if "acted" in notice.facts:
        yield from _acted(settings, places, notice, now)
        return
    payload = {**notice.facts, "shop": notice.shop_id, "ping": [person.name for person in people]}
    about = (notice.subject, notice.subject_id)
    for place in dict.fromkeys(places):
        if notice.kind == "timers.digest":
            yield _row(notice.key, place, notice.kind, *about, _digest_for(settings, place, payload), now)
        elif notice.kind in LISTS:
            for key, page in _pages(settings, notice, place, payload):
                yield _row(key, place, notice.kind, *about, page, now)
        else:
            yield _row(notice.key, place, notice.kind, *about, payload, now)
        if notice.kind == "timer.breached" and _live(settings, place):
            yield _row(f"{notice.key}:card", place, f"{notice.subject}.updated", *about, {}, now)


def _acted(settings: Settings, places: Sequence[Place], notice: Notice, now: datetime) -> Iterator[dict[str, Any]]:
    """The card as somebody's act left it, who waits to see it; then the act itself, in the card's thread."""
    about, told = (notice.subject, notice.subject_id), notice.facts["acted"]
    for place in dict.fromkeys(places):
        card = _row(notice.key, place, notice.kind, *about, {"shop": notice.shop_id}, now)
        yield card | {"not_before": now - _HEAD_START}
        if _threads(settings, place):
            history = _row(f"{notice.key}:acted", place, f"{notice.subject}.acted", *about, told, now)
            yield history | {"not_before": now + _AFTERWARDS}


def _to(settings: Settings, notice: Notice) -> list[Place]:
    """Where the notice goes: its route's places, but not where what it tells of cannot be told."""
    places = _places(settings, _route(settings, notice))
    if notice.kind == "outbox.dead":
        failed = (notice.facts["channel"], notice.facts["target"])
        return _elsewhere(settings, places, lambda place: place == failed)
    if notice.subject == "upkeep":
        slow = notice.facts["channels"]
        return _elsewhere(settings, places, lambda place: place[0] in slow) or places
    return places


def _route(settings: Settings, notice: Notice) -> list[str]:
    routes = settings.routes
    if notice.subject in ("source", "outbox", "clock"):
        return routes.system or routes.crisis
    if notice.subject == "upkeep":
        return routes.engineer or routes.system or routes.crisis
    if notice.subject == "indicator":
        return routes.summary
    if notice.kind == "timers.digest":
        crises, cases = notice.facts["crises"], notice.facts["count"]
        return [*(routes.crisis if crises else []), *(routes.case if cases else [])]
    return routes.crisis if notice.subject == "crisis" else routes.case


def _places(settings: Settings, route: Iterable[str]) -> list[Place]:
    targets = {channel.name: channel.target for channel in settings.channels}
    places: list[Place] = []
    for name in route:
        if name in targets:
            places.append((name, targets[name]))
        elif settings.smtp:
            places += [(MAIL, address) for address in settings.summaries.recipients]
    return places


def _digest_for(settings: Settings, place: Place, payload: dict[str, Any]) -> dict[str, Any]:
    """Of crises where crises are told, of cases where cases are."""
    crises = payload["crises"] if place in _places(settings, settings.routes.crisis) else []
    cases = {} if place in _places(settings, settings.routes.case) else {"cases": [], "count": 0, "stages": {}}
    return payload | {"crises": crises} | cases


def _elsewhere(settings: Settings, places: list[Place], failed: Callable[[Place], bool]) -> list[Place]:
    """Anywhere but where it failed: the route's other places, else any other channel, else people's mail."""
    everywhere = _places(settings, [channel.name for channel in settings.channels])
    mails = [(MAIL, p.email) for p in settings.people if p.email and p.role in ("lead", "manager")]
    for choice in (places, everywhere, mails if settings.smtp else []):
        if left := [place for place in choice if not failed(place)]:
            return left
    return []


def _live(settings: Settings, place: Place) -> bool:
    channel = next((one for one in settings.channels if one.name == place[0]), None)
    return channel is not None and load(channel.kind).edits(channel)


def _threads(settings: Settings, place: Place) -> bool:
    channel = next((one for one in settings.channels if one.name == place[0]), None)
    return channel is not None and load(channel.kind).threads


def _pages(
    settings: Settings, notice: Notice, place: Place, payload: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A list too long for one message: its pages follow the first as answers."""
    kinds = {channel.name: channel.kind for channel in settings.channels}
    size = load(kinds.get(place[0], "email")).page
    ids = notice.facts["case_ids"]
    for start in range(0, len(ids), size):
        page = payload | {"page": ids[start : start + size], "first": start + 1}
        if start:
            yield f"{notice.key}:{start + 1}", page | {"page_of": notice.key, "ping": []}
        else:
            yield notice.key, page

"""Delivery of the outbox: nothing lost, anywhere; nothing twice where the provider can be asked.

``pending → sending (lease) → sent``; refused for now → ``pending`` with a pause; refused for good or too often →
``dead``; not known, or the lease ran out → ``uncertain``; carried by another row, or nothing left to say → ``folded``.
"""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy import CursorResult, case, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select
from structlog.contextvars import bound_contextvars

from alerts import claims, homeless, outcomes, pace
from alerts.cards import Links
from alerts.channel import Channel, Gone, Letter, SendError, Uncertain
from alerts.claims import WAITING, Claim
from alerts.render import EDITS, IN_PLACE, Stale, acted_since, card_ref, render, was_posted
from monitor import audit, db, logs
from monitor.core import Core
from monitor.models import Outbox

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round did.

    Attributes:
        sent: Accepted by a provider.
        failed: Refused for now.
        uncertain: Nobody knows.
        dead: Given up.
        folded: Nothing was left to say.
    """

    sent: int = 0
    failed: int = 0
    uncertain: int = 0
    dead: int = 0
    folded: int = 0


class _Pointless(Exception):
    """The card cannot be edited, and a new one would say nothing worth it."""


class _Lost(Exception):
    """The lease ran out before the post: the row is somebody else's now."""


def deliver(
    core: Core,
    channels: Mapping[str, Channel],
    owner: str,
    limit: int = 500,
    *,
    links: Links | None = None,
    jitter: Callable[[], float] = random.random,
    ending: Callable[[], bool] = lambda: False,
) -> Delivered:
    """Send what is due on these channels; never sleeps, and returns when nothing more is due or every place is full.

    Args:
        core: The common ground.
        channels: Channels by name; rows of others are left alone, so one slow channel can have a sender of its own.
        owner: Unique name of this sender among all threads and processes.
        limit: Rows tried at most.
        links: Makes the addresses in messages; signed ones by default.
        jitter: Numbers in [0, 1) that spread retries.
        ending: Whether no further row is to be taken.
    """
    sender = _Sender(core, channels, links or _signed(core), jitter)
    sizes = pace.buckets(core.settings, channels)
    counts = {"sent": 0, "pending": 0, "uncertain": 0, "dead": homeless.bury(core), "folded": 0, "lost": 0}
    claims.expire(core)
    for _ in range(limit if claims.anything_due(core, channels) else 0):
        taken = None if ending() else claims.claim(core, sizes, owner)
        if taken is None:
            break
        with bound_contextvars(message=taken.row.id, **{taken.row.subject: taken.row.subject_id}):
            counts[sender.attempt(taken)] += 1
    return Delivered(counts["sent"], counts["pending"], counts["uncertain"], counts["dead"], counts["folded"])


def _signed(core: Core) -> Links:
    from alerts.links import Links as Signed

    return Signed(core.secret, core.settings.service.public_url, core.clock)


def next_slot(core: Core, channels: Mapping[str, Channel]) -> datetime | None:
    """When the first of the rows goes that are due and wait only for their place to take more; None without such."""
    return claims.next_slot(core, pace.buckets(core.settings, channels))


def _card(session: Session, row: Outbox) -> str | None:
    """What the row edits, the live card or its history: empty where its name was lost, None where there is none."""
    if row.kind not in IN_PLACE:
        return None
    return card_ref(session, row) or ("" if was_posted(session, row) else None)


def _cardless(row: Outbox, channel: Channel, card: str | None) -> bool:
    """Whether an edit has nothing to edit: a case that stands in a list gets no card of its own."""
    return row.kind in EDITS and (not channel.live or (card is None and row.kind == "case.updated"))


@dataclass
class _Sender:
    """One round's way of sending."""

    core: Core
    channels: Mapping[str, Channel]
    links: Links
    jitter: Callable[[], float]

    def attempt(self, taken: Claim) -> str:
        """Try one row and write down what became of it."""
        channel = self.channels[taken.row.channel]
        try:
            with db.reading(self.core.engine) as session:
                card = _card(session, taken.row)
                if _cardless(taken.row, channel, card):
                    letter: Letter | Stale = Stale("没有单独的卡片")
                else:
                    letter = render(self.core, session, taken.row, channel, self.links)
        except OperationalError:  # the store's trouble, not the row's: it comes again when its lease is over
            raise
        except Exception as error:  # noqa: BLE001 — one poisonous row must not stop the others
            _log.exception("outbox_render_failed", id=taken.row.id, key=taken.row.dedupe_key)
            return outcomes.dead(self.core, taken, f"写不出来：{logs.told(error)}")
        if isinstance(letter, Stale):
            return outcomes.folded(self.core, taken, letter.reason)
        return self._post(taken, channel, letter, card)

    def _post(self, taken: Claim, channel: Channel, letter: Letter, card: str | None) -> str:
        try:
            edited = self._edit(taken, channel, letter, card) if taken.row.kind in IN_PLACE else None
            ref = self._send(taken, channel, letter, card) if edited is None else edited
        except _Lost:
            return "lost"
        except _Pointless:
            return outcomes.folded(self.core, taken, "卡片已经改不了，也没有人做过什么")
        except SendError as error:
            return outcomes.refused(self.core, taken, error, self.jitter)
        except Exception as error:  # noqa: BLE001 — whatever broke, the provider may have the message
            return outcomes.uncertain(self.core, taken, error, self.jitter)
        outcomes.sent(self.core, taken, ref, letter.at, card if edited else None)
        return "sent"

    def _edit(self, taken: Claim, channel: Channel, letter: Letter, card: str | None) -> str | None:
        """Edit the live card; None when it has to be posted anew.

        Args:
            taken: The row.
            channel: Where the card is.
            letter: What it says now.
            card: The provider's name of it; empty where that was lost, None where none was ever posted.
        """
        if card == "":
            card = self._ask(channel, letter)
        if card:
            self._renew(taken)
            try:
                return channel.update(card, letter) or card
            except Gone as gone:
                self._worth_a_new_card(taken, channel)
                _log.warning("outbox_card_gone", key=letter.key, channel=taken.row.channel, error=str(gone))
        return None

    def _worth_a_new_card(self, taken: Claim, channel: Channel) -> None:
        if channel.scarce:
            with db.reading(self.core.engine) as session:
                if not acted_since(session, taken.row):
                    raise _Pointless

    def _send(self, taken: Claim, channel: Channel, letter: Letter, card: str | None) -> str:
        """Post, after asking whether an earlier attempt arrived where one was made."""
        if taken.uncertain or card == "":
            found = self._ask(channel, letter)
            if found:
                return found
            if found is None:
                outcomes.mark_twice(self.core, taken)
            letter = replace(letter, card=replace(letter.card, maybe_twice=found is None))
        self._renew(taken)
        try:
            return channel.send(letter)
        except Gone:  # the card it answers was deleted: it stands by itself
            return channel.send(replace(letter, thread=""))

    def _ask(self, channel: Channel, letter: Letter) -> str | None:
        try:
            return channel.lookup(letter)
        except SendError as error:
            if error.permanent:  # we may not ask, so nobody can say
                _log.warning("outbox_lookup_refused", key=letter.key, error=str(error))
                return None
            raise Uncertain(f"查不了是否已送达：{error}") from error

    def _renew(self, taken: Claim) -> None:
        if not claims.renew(self.core, taken):
            _log.warning("outbox_lease_lost", id=taken.row.id, key=taken.row.dedupe_key)
            raise _Lost


def listing(
    session: Session,
    states: Collection[str] = ("pending", "sending", "uncertain", "dead"),
    most: int | None = None,
) -> list[Outbox]:
    """Rows in these states, oldest first; no more than so many of the newest."""
    newest = select(Outbox).where(col(Outbox.state).in_(states)).order_by(col(Outbox.id).desc())
    return list(session.exec(newest.limit(most)))[::-1]


def retry(core: Core, ids: Collection[int] | None = None, actor: str = "评哨", door: str = "cli") -> int:
    """Send again what is dead or waits for its next try: these rows, or all; who asked for it is an event.

    Returns:
        How many will be tried now.
    """
    which = [col(Outbox.state).in_(("dead", *WAITING))]
    if ids is not None:
        which.append(col(Outbox.id).in_(ids))
    with db.writing(core.engine) as session:
        again = case((col(Outbox.maybe_twice) | (Outbox.state == "uncertain"), "uncertain"), else_="pending")
        now = core.clock.now()
        result = session.execute(update(Outbox).where(*which).values(state=again, not_before=now, attempts=0))
        assert isinstance(result, CursorResult)
        if result.rowcount:
            told = {"count": result.rowcount, "ids": sorted(ids or ())}
            audit.note(session, now, "outbox", min(ids or (0,)), "retried", actor, door, after=told)
        return result.rowcount

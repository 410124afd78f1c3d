"""What people do to crises."""

import re
from datetime import datetime
from typing import Any

from monitor import crises, timers
from monitor.audit import Refused
from monitor.models import Crisis
from monitor.moves import Move
from monitor.states import CRISIS_OPEN
from monitor.transitions import ACTIONS, NOTICE_WAYS

_NUMBER = re.compile(r"[0-9]{1,9}")


class CrisisMove(Move[Crisis]):
    """One action on a crisis."""

    def _before(self) -> dict[str, Any]:
        return super()._before() | (crises.said(self.row) if self.action.what == "reopen" else {})

    def _plan(self, now: datetime) -> str:
        timers.meet(self.session, self.row, "respond", now)
        first = self.row.acknowledged_at is None
        more = self.action.more or {}
        told = {name: text for name in ("members", "facts") if (text := more.get(name, "").strip())}
        told |= {"plan": self.action.note.strip()}
        self._plain(now, **told, **({"acknowledged_at": now} if first else {}))
        return f"{self.actor.name}写了初步方案"

    def _tick(self, now: datetime) -> str:
        ways = NOTICE_WAYS[self.row.kind]
        way = ways[self.action.what]
        if way in self.row.notices:
            raise Refused("这一项已经勾过了")
        notices = self.row.notices | {way: {"at": now.isoformat(), "by": self.actor.name}}
        done = len(notices) == len(ways)
        if self.row.kind == "mention":  # each way has a clock of its own
            timers.meet(self.session, self.row, way, now)
        elif done:
            timers.meet(self.session, self.row, "notice", now)
        if done:
            self.target = "customer_notified"
        self._plain(now, notices=notices, **({"notified_at": now} if done else {}))
        return f"{self.actor.name} {ACTIONS[self.action.what].label}"

    _notified_sms = _notified_push = _notified_call = _apologised = _stated = _tick

    def _resolved(self, now: datetime) -> str:
        for stage in ("respond", "follow_up"):
            timers.meet(self.session, self.row, stage, now)
        return self._plain(now, resolved_at=now, result=self.action.note.strip())

    def _close(self, now: datetime) -> str:
        return self._plain(now, closed_at=now)

    def _review(self, now: datetime) -> str:
        return self._plain(now, review=self.action.note.strip())

    def _reopen(self, now: datetime) -> str:
        crises.rearm(self.core, self.session, self.row)
        return self._plain(now, **crises.CLEARED)

    def _false_alarm(self, now: datetime) -> str:
        # a crisis that is none may still be made of real complaints: nothing is labelled
        timers.cancel(self.session, self.row)
        return self._plain(now)

    def _merge(self, now: datetime) -> str:
        other = self.session.get(Crisis, int(self.action.to)) if _NUMBER.fullmatch(self.action.to) else None
        if other is None or other.id == self.row.id or other.state not in CRISIS_OPEN:
            raise Refused("只能合并到另一个进行中的危机")
        crises.merge(self.core, self.session, self.row, other)
        self._plain(now, merged_into=other.id)
        return f"已合并到危机 #{other.id}"

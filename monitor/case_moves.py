"""What people do to cases."""

from datetime import datetime

from sqlmodel import select

from monitor import crises, timers
from monitor.audit import Refused
from monitor.models import Case, Correction, Feedback, Score
from monitor.moves import Move


class CaseMove(Move[Case]):
    """One action on a case."""

    def _contacted(self, now: datetime) -> str:
        timers.meet(self.session, self.row, "respond", now)
        return self._plain(now)

    def _answered(self, now: datetime) -> str:
        timers.meet(self.session, self.row, "respond", now)
        return self._plain(now, answered_at=now)

    def _resolved(self, now: datetime) -> str:
        for stage in ("respond", "solve"):
            timers.meet(self.session, self.row, stage, now)
        return self._plain(now, resolved_at=now)

    def _close(self, now: datetime) -> str:
        return self._plain(now, closed_at=now)

    def _false_alarm(self, now: datetime) -> str:
        timers.cancel(self.session, self.row)
        for feedback, score in self.session.exec(
            select(Feedback, Score).join(Score).where(Feedback.case_id == self.row.id)
        ):
            before = {"negative": score.negative, "categories": score.categories}
            after = {"negative": False, "categories": []}
            assert feedback.id is not None
            self.session.add(
                Correction(feedback_id=feedback.id, at=now, actor=self.actor.name, before=before, after=after)
            )
        return self._plain(now)

    def _escalate(self, now: datetime) -> str:
        if self.row.crisis_id is not None:
            raise Refused("已经在危机里了")
        crisis = crises.open_for_case(self.core, self.session, self.row, self.actor.name, self.actor.door)
        self.session.refresh(self.row)
        self._plain(now)
        return f"已升级为危机 #{crisis.id}"

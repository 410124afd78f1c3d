"""What people do to cases."""

import re
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from monitor import cases, categories, corrections, crises, timers
from monitor.audit import Refused
from monitor.config import nearest
from monitor.models import Case, Feedback, Score
from monitor.moves import Move

_BETWEEN = re.compile(r"[\s,，、;；]+")
_TIMES = ("created_at", "happened_at", "first_seen_at", "updated_at")


class CaseMove(Move[Case]):
    """One action on a case."""

    def _claim(self, now: datetime) -> str:
        """Who holds a case that came back, or that he suspected, takes it on again."""
        me = self._person(self.actor.name)
        if me is not None and self.row.assignee_id == me.id and self.row.state in ("received", "suspected"):
            self._plain(now)
            return f"{me.name}负责"
        return super()._claim(now)

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
        """No complaint at all, or one about what was named in its stead: a label either way."""
        timers.cancel(self.session, self.row)
        if not self.action.to.strip():
            corrections.false_alarm(self.session, self.row, self.actor.name, now)
            return self._plain(now)
        codes = _codes(self.action.to)
        named = f"其实是{'、'.join(categories.names()[code] for code in codes)}"
        self.told = {"note": "；".join(filter(None, (named, self.action.note.strip()))), "categories": codes}
        corrections.refile(self.session, self.row, codes, self.actor.name, now)
        return self._plain(now, categories=codes)

    def _refile(self, now: datetime) -> str:
        codes = _codes(self.action.to)
        names = categories.names()
        if codes == self.row.categories:
            raise Refused("类别本来就是这些")
        self.told = {"note": "、".join(names[code] for code in codes), "categories": codes}
        values = cases.stricter(self.core, self.row, self.row.severity, codes)
        if values and not self.row.backlog:
            timers.tighten(self.session, self.row, now, values["policy"], settings=self.core.settings)
            self.told["rule"] = values["policy"]["rule"]
        corrections.refile(self.session, self.row, codes, self.actor.name, now)
        self._plain(now, categories=codes, **values)
        return f"类别改为{self.told['note']}"

    def _extortion(self, now: datetime) -> str:
        """Nobody is accused: what is known is kept as it is now, and the case goes on."""
        timers.meet(self.session, self.row, "respond", now)
        self.told = {"note": f"疑似，依据：{self.action.note.strip()}", "evidence": self._evidence()}
        self._plain(now)
        return "记为疑似恶意，证据已保存；解决时限照走"

    def _evidence(self) -> list[dict[str, Any]]:
        """The case's feedbacks as they are stored now."""
        mine = select(Feedback, Score).join(Score, isouter=True).where(Feedback.case_id == self.row.id)
        kept = []
        for feedback, score in self.session.exec(mine.order_by(col(Feedback.id))):
            times = {name: at.isoformat() for name in _TIMES if (at := getattr(feedback, name))}
            flags = score.flags if score else []
            spans = [place for place in (score.evidence if score else []) if place["code"] in flags]
            said = feedback.model_dump(include={"id", "version", "title", "text", "stars", "author", "reply", "url"})
            kept.append(said | times | {"flags": flags, "spans": spans})
        return kept

    def _reopen(self, now: datetime) -> str:
        if self.row.state == "false_alarm":
            corrections.take_back(self.session, self.row, self.actor.name, now)
        cases.rearm(self.core, self.session, self.row, now, self.row.policy)
        self._plain(now, **cases.REOPENED, backlog=False, assignee_id=self.row.assignee_id)
        if self.row.crisis_id is None:
            self.core.notify(self.session, [cases.called(self.session, self.row)])
        return "重新打开，时限从现在算起"

    def _escalate(self, now: datetime) -> str:
        if self.row.crisis_id is not None:
            raise Refused("已经在危机里了")
        crisis = crises.open_for_case(self.core, self.session, self.row, self.actor.name, self.actor.door)
        self.session.refresh(self.row)
        self._plain(now)
        return f"已升级为危机 #{crisis.id}"


def _codes(said: str) -> list[str]:
    """Category codes from a list of codes or Chinese names.

    Raises:
        Refused: one that is neither, or none at all.
    """
    known = categories.complaints()
    by_word = {name: code for code, name in known.items()} | {code: code for code in known}
    codes = []
    for word in filter(None, _BETWEEN.split(said)):
        if word not in by_word:
            raise Refused(f"没有“{word}”这个类别{nearest(word, by_word)}")
        codes.append(by_word[word])
    if not codes:
        raise Refused("“改类别”还缺对象")
    return list(dict.fromkeys(codes))

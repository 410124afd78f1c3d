"""The state machines of cases and crises, as data, and the one function through which people move them.

Every move is one versioned update together with its event, its timers and its notices, in the caller's transaction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from monitor import crises, timers
from monitor.audit import Refused, change, record, updated
from monitor.core import Core
from monitor.models import Case, Correction, Crisis, Feedback, Person, Score
from monitor.states import CASE_OPEN, CRISIS_OPEN, STATE_LABELS

_NUMBER = re.compile(r"[0-9]{1,9}")
_STAFF = ("agent", "lead", "manager")
_LEADS = ("lead", "manager")
NOTICE_WAYS = {"notified_sms": "sms", "notified_push": "push", "notified_call": "call"}


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """One thing a person may do.

    Attributes:
        label: What the button says.
        moves: For each subject the states it may start from and the state it leads to ("" stays).
        needs: What must be given with it: nothing, a ``note`` or a person/crisis in ``to``.
        roles: Who may; ``crisis_roles`` overrides it for crises.
    """

    label: str
    moves: Mapping[str, tuple[tuple[str, ...], str]]
    needs: str = ""
    roles: tuple[str, ...] = _STAFF
    crisis_roles: tuple[str, ...] = _STAFF

    @property
    def subjects(self) -> tuple[str, ...]:
        """What it can be done to."""
        return tuple(self.moves)

    def allowed(self, subject: str, role: str) -> bool:
        """Whether a role may do this to a case or a crisis."""
        return role in (self.crisis_roles if subject == "crisis" else self.roles)


_ANY = {"case": (CASE_OPEN, ""), "crisis": (CRISIS_OPEN, "")}
_TICK = {"crisis": (CRISIS_OPEN, "")}
ACTIONS: Mapping[str, ActionInfo] = {
    "claim": ActionInfo("我来负责", {"case": (CASE_OPEN, "assigned"), "crisis": (CRISIS_OPEN, "")}),
    "assign": ActionInfo("转派", {"case": (CASE_OPEN, "assigned"), "crisis": (CRISIS_OPEN, "")}, "to", _LEADS, _LEADS),
    "contacted": ActionInfo("已联系", {"case": (("received", "assigned"), "contacted")}),
    "answered": ActionInfo("已回复", {"case": (("received", "assigned", "contacted"), "answered")}),
    "plan": ActionInfo("写初步方案", {"crisis": (CRISIS_OPEN, "acknowledged")}, "note"),
    "notified_sms": ActionInfo("已发短信", _TICK),
    "notified_push": ActionInfo("已推送", _TICK),
    "notified_call": ActionInfo("已外呼", _TICK),
    "resolved": ActionInfo(
        "已解决",
        {"case": (CASE_OPEN, "resolved"), "crisis": (("customer_notified",), "resolved")},
        "",
        _STAFF,
        _LEADS,
    ),
    "close": ActionInfo(
        "归档", {"case": (("resolved",), "closed"), "crisis": (("resolved",), "closed")}, "", _LEADS, _LEADS
    ),
    "false_alarm": ActionInfo(
        "误报",
        {"case": (CASE_OPEN, "false_alarm"), "crisis": (CRISIS_OPEN, "false_alarm")},
        "",
        _STAFF,
        _LEADS,
    ),
    "escalate": ActionInfo("升级为危机", {"case": (CASE_OPEN, "")}),
    "merge": ActionInfo("合并", {"crisis": (CRISIS_OPEN, "merged")}, "to", _LEADS, _LEADS),
    "note": ActionInfo("备注", _ANY, "note"),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, in which role, through which door."""

    name: str
    role: str
    door: str


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody wants done; ``to`` is a person's name (assign) or a crisis id (merge)."""

    what: str
    subject: str
    subject_id: int
    note: str = ""
    to: str = ""


def act(core: Core, session: Session, action: Action, actor: Actor) -> str:
    """Do what a person asked, or say why not.

    Returns:
        One Chinese line that says what is now so.

    Raises:
        Refused: unknown action or subject, wrong role, wrong state, something missing, or somebody was faster.
    """
    info = ACTIONS.get(action.what)
    if info is None or action.subject not in info.subjects:
        raise Refused("没有这个操作")
    if not info.allowed(action.subject, actor.role):
        raise Refused(f"{actor.name or '您'}没有“{info.label}”的权限，请找主管")
    if (info.needs == "note" and not action.note.strip()) or (info.needs == "to" and not action.to.strip()):
        raise Refused(f"“{info.label}”还缺{'内容' if info.needs == 'note' else '对象'}")
    row: Case | Crisis | None
    if action.subject == "case":
        row = session.get(Case, action.subject_id, with_for_update=True)
    else:
        row = session.get(Crisis, action.subject_id, with_for_update=True)
    if row is None:
        raise Refused("找不到这条记录")
    start, target = info.moves[action.subject]
    if row.state not in start:
        raise Refused(_why_not(row, info))
    return _Move(core, session, action, actor, row, target).run()


def _why_not(row: Case | Crisis, info: ActionInfo) -> str:
    if isinstance(row, Crisis) and info.label == "已解决" and row.state in CRISIS_OPEN:
        return "还没有用短信、推送、外呼都告知客户，不能结案"
    return f"现在是“{STATE_LABELS[row.state]}”，不能“{info.label}”"


@dataclass
class _Move:
    """One action on one row: what changes, and what follows from it."""

    core: Core
    session: Session
    action: Action
    actor: Actor
    row: Case | Crisis
    target: str

    def run(self) -> str:
        now = self.core.clock.now()
        before = {"state": self.row.state, "assignee_id": self.row.assignee_id}
        special = getattr(self, f"_{self.action.what}", None)
        said = special(now) if special else self._plain(now)
        after = {"state": self.row.state, "assignee_id": self.row.assignee_id}
        if note := (self.action.note.strip() or self.action.to):
            after["note"] = note
        record(
            self.session,
            now,
            self.row,
            self.action.what,
            self.actor.name,
            self.actor.door,
            before=before,
            after=after,
        )
        self.core.notify(self.session, [updated(self.row)])
        return str(said)

    def _plain(self, now: datetime, **values: Any) -> str:
        """Move to the target state and do what reaching that state means for the clocks."""
        if self.target:
            values["state"] = self.target
        if self.row.assignee_id is None and (me := self._person(self.actor.name)):
            values.setdefault("assignee_id", me.id)
        change(self.session, self.row, now, **values)
        return f"{self.actor.name} {ACTIONS[self.action.what].label}"

    def _claim(self, now: datetime) -> str:
        me = self._person(self.actor.name)
        if me is None:
            raise Refused("评哨还不认识您，请让管理员把您加进 people")
        if self.row.assignee_id == me.id:
            raise Refused("您已经认领了")
        if self.row.assignee_id is not None:
            holder = self.session.get(Person, self.row.assignee_id)
            raise Refused(f"{holder.name if holder else '别人'}已经认领了")
        self._plain(now, assignee_id=me.id)
        return f"{me.name}负责"

    def _assign(self, now: datetime) -> str:
        to = self._person(self.action.to)
        if to is None:
            raise Refused(f"没有叫“{self.action.to}”的人")
        self._plain(now, assignee_id=to.id)
        return f"转给{to.name}负责"

    def _contacted(self, now: datetime) -> str:
        timers.meet(self.session, self.row, "respond", now)
        return self._plain(now)

    def _answered(self, now: datetime) -> str:
        timers.meet(self.session, self.row, "respond", now)
        return self._plain(now, answered_at=now)

    def _resolved(self, now: datetime) -> str:
        for stage in ("respond", "solve") if isinstance(self.row, Case) else ("respond", "follow_up"):
            timers.meet(self.session, self.row, stage, now)
        result = {"result": self.action.note.strip()} if isinstance(self.row, Crisis) else {}
        return self._plain(now, resolved_at=now, **result)

    def _close(self, now: datetime) -> str:
        return self._plain(now, closed_at=now)

    def _plan(self, now: datetime) -> str:
        assert isinstance(self.row, Crisis)
        timers.meet(self.session, self.row, "respond", now)
        first = self.row.acknowledged_at is None
        if not first:
            self.target = ""  # a later plan does not take the crisis back
        self._plain(now, plan=self.action.note.strip(), **({"acknowledged_at": now} if first else {}))
        return f"{self.actor.name}写了初步方案"

    def _tick(self, now: datetime) -> str:
        assert isinstance(self.row, Crisis)
        way = NOTICE_WAYS[self.action.what]
        if way in self.row.notices:
            raise Refused("这一项已经勾过了")
        notices = self.row.notices | {way: {"at": now.isoformat(), "by": self.actor.name}}
        done = len(notices) == len(NOTICE_WAYS)
        if done:
            timers.meet(self.session, self.row, "notice", now)
            self.target = "customer_notified"
        self._plain(now, notices=notices, **({"notified_at": now} if done else {}))
        return f"{self.actor.name} {ACTIONS[self.action.what].label}"

    _notified_sms = _notified_push = _notified_call = _tick

    def _false_alarm(self, now: datetime) -> str:
        timers.cancel(self.session, self.row)
        self._label_as_harmless(now)
        return self._plain(now)

    def _label_as_harmless(self, now: datetime) -> None:
        if not isinstance(self.row, Case):
            return  # a crisis that is none may still be made of real complaints
        for feedback, score in self.session.exec(
            select(Feedback, Score).join(Score).where(Feedback.case_id == self.row.id)
        ):
            before = {"negative": score.negative, "categories": score.categories}
            after = {"negative": False, "categories": []}
            assert feedback.id is not None
            self.session.add(
                Correction(feedback_id=feedback.id, at=now, actor=self.actor.name, before=before, after=after)
            )

    def _escalate(self, now: datetime) -> str:
        assert isinstance(self.row, Case)
        if self.row.crisis_id is not None:
            raise Refused("已经在危机里了")
        crisis = crises.open_for_case(self.core, self.session, self.row, self.actor.name, self.actor.door)
        self.session.refresh(self.row)
        self._plain(now)
        return f"已升级为危机 #{crisis.id}"

    def _merge(self, now: datetime) -> str:
        assert isinstance(self.row, Crisis)
        other = self.session.get(Crisis, int(self.action.to)) if _NUMBER.fullmatch(self.action.to) else None
        if other is None or other.id == self.row.id or other.state not in CRISIS_OPEN:
            raise Refused("只能合并到另一个进行中的危机")
        crises.merge(self.core, self.session, self.row, other)
        self._plain(now, merged_into=other.id)
        return f"已合并到危机 #{other.id}"

    def _person(self, name: str) -> Person | None:
        return self.session.exec(select(Person).where(Person.name == name, Person.active)).one_or_none()

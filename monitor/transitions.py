"""The state machines of cases and crises as data: what people may do, from which state, and where it leads.

``docs/explanation/states.md`` is drawn from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.states import CASE_OPEN, CRISIS_OPEN

_STAFF = ("agent", "lead", "manager", "admin")
_LEADS = ("lead", "manager", "admin")

NOTICE_WAYS: Mapping[str, Mapping[str, str]] = {
    "review": {"notified_sms": "sms", "notified_push": "push", "notified_call": "call"},
    "mention": {"apologised": "apology", "stated": "statement"},
}
"""How those concerned are told, by kind of crisis: action → key in ``Crisis.notices``."""


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """One thing a person may do.

    Attributes:
        label: What the button says.
        moves: For each subject the states it may start from and the state it leads to ("" stays).
        needs: What must be given with it: nothing, a ``note``, or in ``to`` a person, crisis or list of categories.
        roles: Who may; ``crisis_roles`` overrides it for crises.
        kind: Only crises of this kind know it; empty for all.
        stays: States that it leaves as they are: what was done already is not undone by it.
    """

    label: str
    moves: Mapping[str, tuple[tuple[str, ...], str]]
    needs: str = ""
    roles: tuple[str, ...] = _STAFF
    crisis_roles: tuple[str, ...] = _STAFF
    kind: str = ""
    stays: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """What it can be done to."""
        return tuple(self.moves)

    def leads(self, subject: str, state: str) -> str:
        """The state it leads to from this one; "" where it stays."""
        return "" if state in self.stays else self.moves[subject][1]

    def allowed(self, subject: str, role: str) -> bool:
        """Whether a role may do this to a case or a crisis."""
        return role in (self.crisis_roles if subject == "crisis" else self.roles)


_ANY = {"case": (CASE_OPEN, ""), "crisis": (CRISIS_OPEN, "")}
_BEGUN = ("contacted", "answered")
_TICK = {"crisis": (CRISIS_OPEN, "")}  # the last tick leads to "customer_notified"
ACTIONS: Mapping[str, ActionInfo] = {
    "claim": ActionInfo("我来负责", {"case": (CASE_OPEN, "assigned"), "crisis": (CRISIS_OPEN, "")}, stays=_BEGUN),
    "assign": ActionInfo(
        "转派", {"case": (CASE_OPEN, "assigned"), "crisis": (CRISIS_OPEN, "")}, "to", _LEADS, _LEADS, stays=_BEGUN
    ),
    "contacted": ActionInfo("已联系", {"case": (("received", "assigned"), "contacted")}),
    "answered": ActionInfo("已回复", {"case": (("received", "assigned", "contacted"), "answered")}),
    "plan": ActionInfo(
        "写初步方案", {"crisis": (CRISIS_OPEN, "acknowledged")}, "note", stays=("acknowledged", "customer_notified")
    ),
    "notified_sms": ActionInfo("已发短信", _TICK, kind="review"),
    "notified_push": ActionInfo("已推送", _TICK, kind="review"),
    "notified_call": ActionInfo("已外呼", _TICK, kind="review"),
    "apologised": ActionInfo("已私下致歉", _TICK, kind="mention"),
    "stated": ActionInfo("已公开声明", _TICK, crisis_roles=_LEADS, kind="mention"),
    "resolved": ActionInfo(
        "已解决",
        {"case": (CASE_OPEN, "resolved"), "crisis": (("customer_notified",), "resolved")},
        crisis_roles=_LEADS,
    ),
    "close": ActionInfo(
        "归档",
        {"case": (("resolved",), "closed"), "crisis": (("resolved",), "closed")},
        roles=_LEADS,
        crisis_roles=_LEADS,
    ),
    "false_alarm": ActionInfo(
        "误报",
        {"case": (CASE_OPEN, "false_alarm"), "crisis": (CRISIS_OPEN, "false_alarm")},
        crisis_roles=_LEADS,
    ),
    "refile": ActionInfo("改类别", {"case": (CASE_OPEN, "")}, "to"),
    "extortion": ActionInfo(
        "疑似恶意", {"case": (("received", "assigned", "contacted", "answered"), "suspected")}, "note"
    ),
    "escalate": ActionInfo("升级为危机", {"case": (CASE_OPEN, "")}),
    "merge": ActionInfo("合并", {"crisis": (CRISIS_OPEN, "merged")}, "to", crisis_roles=_LEADS),
    "reopen": ActionInfo(
        "重新打开",
        {
            "case": (("resolved", "closed", "false_alarm"), "received"),
            "crisis": (("resolved", "closed", "false_alarm"), "open"),
        },
        "note",
        _LEADS,
        _LEADS,
    ),
    "review": ActionInfo("写复盘", {"crisis": (("resolved", "closed"), "")}, "note", crisis_roles=_LEADS),
    "note": ActionInfo("备注", _ANY, "note"),
}

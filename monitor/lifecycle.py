"""The one function through which people move cases and crises.

Every move is one versioned update together with its event, its timers and its notices, in the caller's transaction.
"""

from sqlmodel import Session

from monitor.audit import Refused
from monitor.case_moves import CaseMove
from monitor.core import Core
from monitor.crisis_moves import CrisisMove
from monitor.models import Case, Crisis
from monitor.moves import Action, Actor
from monitor.states import CRISIS_OPEN, STATE_LABELS
from monitor.transitions import ACTIONS, ActionInfo

_LACKING = {"note": "内容", "to": "对象"}


def act(core: Core, session: Session, action: Action, actor: Actor) -> str:
    """Do what a person asked, or say why not.

    Returns:
        One Chinese line that says what is now so.

    Raises:
        Refused: unknown action or subject, wrong role, wrong state, something missing, or somebody was faster.
    """
    info = _permitted(action, actor)
    if info.needs and not getattr(action, info.needs).strip():
        raise Refused(f"“{info.label}”还缺{_LACKING[info.needs]}")
    row = _ready(session, action, info, lock=True)
    target = info.leads(action.subject, row.state)
    if isinstance(row, Case):
        return CaseMove(core, session, action, actor, row, target).run()
    return CrisisMove(core, session, action, actor, row, target).run()


def check(session: Session, action: Action, actor: Actor) -> None:
    """Whether a person could do this now, whatever would be given with it; changes nothing.

    Raises:
        Refused: as `act` does.
    """
    _ready(session, action, _permitted(action, actor), lock=False)


def _permitted(action: Action, actor: Actor) -> ActionInfo:
    info = ACTIONS.get(action.what)
    if info is None or action.subject not in info.subjects:
        raise Refused("没有这个操作")
    if not info.allowed(action.subject, actor.role):
        raise Refused(f"{actor.name or '您'}没有“{info.label}”的权限，请找主管")
    return info


def _ready(session: Session, action: Action, info: ActionInfo, *, lock: bool) -> Case | Crisis:
    """The row, in a state from which the action may start."""
    row: Case | Crisis | None
    if action.subject == "case":
        row = session.get(Case, action.subject_id, with_for_update=lock or None)
    else:
        row = session.get(Crisis, action.subject_id, with_for_update=lock or None)
    if row is None:
        raise Refused("找不到这条记录")
    if row.state not in info.moves[action.subject][0] or (isinstance(row, Crisis) and info.kind not in ("", row.kind)):
        raise Refused(_why_not(row, info))
    return row


def _why_not(row: Case | Crisis, info: ActionInfo) -> str:
    if isinstance(row, Crisis):
        if info.kind not in ("", row.kind):
            return f"这个危机没有“{info.label}”这一步"
        if info is ACTIONS["resolved"] and row.state in CRISIS_OPEN:
            told = "用短信、推送、外呼都告知客户" if row.kind == "review" else "私下致歉并公开声明"
            return f"还没有{told}，不能结案"
    return f"现在是“{STATE_LABELS[row.state]}”，不能“{info.label}”"

"""The live cards of cases and crises: what happened, whose it is, by when, and what to say first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from alerts import crisis_lines, picks, words
from alerts.content import Button, Card, Line, bold, line, link
from alerts.suspicion import suspicion
from monitor.models import Case, Crisis, Event, Person
from monitor.queries import CaseView, CrisisView, Item
from monitor.states import CASE_OPEN, CRISIS_OPEN, STATE_LABELS
from monitor.transitions import ACTIONS, NOTICE_WAYS

_BUTTONS = {
    "case": ("claim", "contacted", "answered", "resolved", "escalate", "false_alarm"),
    "crisis": ("claim", "plan", *chain.from_iterable(NOTICE_WAYS.values()), "resolved", "false_alarm", "review"),
}
_MORE = {
    "case": ("assign", "refile", "extortion", "note", "close", "reopen"),
    "crisis": ("assign", "merge", "note", "close", "reopen"),
}
_CASES = {"review": "差评", "mention": "负面帖子", "question": "买家提问"}
_CONFIRM = {"false_alarm": "确定是误报吗？计时会停下来。"}
_EVENTS = 3


class Links(Protocol):
    """Makes signed addresses."""

    def make(self, action: str, subject: str, subject_id: int, person: str) -> str:
        """A page on which one person can do one thing once."""

    def view(self, subject: str, subject_id: int) -> str:
        """A page that shows a case or crisis."""

    def desk(self, subject: str, subject_id: int) -> str:
        """The page of the desk where people who are logged in act on it."""


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom and when a card is written.

    Attributes:
        now: The time of sending.
        zone: The zone its clocks are told in.
        shop_name: The name people know a shop by.
        links: Makes the addresses.
        clicks: The channel brings clicks on buttons back; otherwise buttons are links.
        person: Whom the links are signed for; None for a group, or a reader who may only look.
        desk: People can log in to the desk: there a group acts whose channel brings no clicks back.
        speaker: Knows the shops' voices.
    """

    now: datetime
    zone: ZoneInfo
    shop_name: Callable[[str | None], str]
    links: Links
    clicks: bool = True
    person: Person | None = None
    desk: bool = False
    speaker: picks.Speaker = field(default_factory=picks.Speaker)

    def moment(self, at: datetime) -> str:
        """The time as its reader calls it."""
        return words.moment(at, self.now, self.zone)


def crisis_card(view: CrisisView, reader: Reader) -> Card:
    """The card of a crisis."""
    crisis = view.crisis
    lines = [
        crisis_lines.spread(view, reader),
        words.clocks("crisis", view.clocks, reader.now, reader.zone),
        _holder(crisis, view.assignee, crisis.severity),
        *_quoted(view.worst),
        *crisis_lines.heat(view),
        *crisis_lines.done_so_far(crisis, reader),
        *_events(view.events, reader),
        *_draft(crisis, view.worst, crisis.product, reader),
    ]
    count = crisis_lines.how_many(view)
    more = f"看全部 {count} 条" if count > 1 else "看详情"
    return Card(
        title=f"【危机】{crisis_name(view, reader)}",
        lines=tuple(lines),
        buttons=_buttons(crisis, more, reader),
        about=f"crisis:{crisis.id}",
        more=_menu(crisis, reader),
    )


def crisis_name(view: CrisisView, reader: Reader) -> str:
    """``示例旗舰店 · 物流配送 · 37 位买家``."""
    many = view.crisis.scope.get("buyers") or view.count
    whose = "个账号" if view.crisis.kind == "mention" else "位买家"
    return f"{reader.shop_name(view.crisis.shop_id)} · {words.trouble(view.crisis)} · {many} {whose}"


def case_card(view: CaseView, reader: Reader) -> Card:
    """The card of a case."""
    case = view.case
    newest = view.items[0] if view.items else None
    lines = [
        *_quoted(newest),
        *([line(f"还有 {len(view.items) - 1} 条是同一位买家的", role="small")] if len(view.items) > 1 else []),
        words.clocks("case", view.clocks, reader.now, reader.zone) if view.clocks else line("很久以前的评价，不计时"),
        _holder(case, view.assignee, case.severity),
        *_author(view),
        *suspicion(view),
        *([line(f"已并入危机 #{case.crisis_id}")] if case.crisis_id else []),
        *_events(view.events, reader),
        *([] if case.kind == "question" else _case_draft(view, reader)),
    ]
    return Card(
        title=f"【{_CASES[case.kind]}】{case_name(view, reader)}",
        lines=tuple(lines),
        buttons=_buttons(case, "看详情", reader),
        about=f"case:{case.id}",
        more=_menu(case, reader),
    )


def _case_draft(view: CaseView, reader: Reader) -> list[Line]:
    newest = view.items[0] if view.items else None
    return _draft(view.case, newest, newest.feedback.product if newest else "", reader)


def case_name(view: CaseView, reader: Reader) -> str:
    """``示例旗舰店 · 质量问题、售后退换 · 严重``."""
    case = view.case
    named = "、".join(words.code(code) for code in case.categories[:3])
    what = named or ("问答" if case.kind == "question" else "未说明原因")
    return f"{reader.shop_name(case.shop_id)} · {what} · {words.SEVERITY[case.severity]}"


def _holder(row: Case | Crisis, assignee: Person | None, severity: str) -> Line:
    who = assignee.name if assignee else bold("还没人认领")
    return line("负责人：", who, f"　状态：{STATE_LABELS[row.state]}　程度：{words.SEVERITY[severity]}")


def _quoted(item: Item | None) -> list[Line]:
    if item is None:
        return []
    feedback = item.feedback
    facts = " · ".join(words.feedback_facts(feedback))
    page = [" · " if facts else "", link("看原文", feedback.url)] if feedback.url else []
    lines = [words.quote(feedback, item.score)]
    if feedback.deleted:
        lines.append(line("原文已被删除，这里是我们看到时的样子", role="small"))
    return [*lines, line(facts, *page, role="small")] if facts or page else lines


def _author(view: CaseView) -> list[Line]:
    author = view.items[0].feedback.author if view.items else ""
    if view.earlier:
        bad = f"，其中 {view.earlier_negative} 条差评" if view.earlier_negative else "，都不是差评"
        return [line(f"买家{author}：之前写过 {view.earlier} 条{bad}")]
    return [line(f"买家{author}：第一次见到")] if author else []


def _events(events: Iterable[Event], reader: Reader) -> list[Line]:
    """What people did last, oldest first."""
    done = [event for event in events if event.door != "system" and event.what in ACTIONS][:_EVENTS]
    told = [f"{reader.moment(event.at)} {event.actor} {ACTIONS[event.what].label}" for event in reversed(done)]
    return [line("最近：" + "；".join(told), role="small")] if told else []


def _draft(row: Case | Crisis, item: Item | None, product: str, reader: Reader) -> list[Line]:
    """What to say first; nothing more is to be said where all is settled."""
    if row.state not in (*CASE_OPEN, *CRISIS_OPEN):
        return []
    flags = item.score.flags if item and item.score and isinstance(row, Case) else ()
    text = item.feedback.text or item.feedback.title if item else ""
    return [line("建议先说：", picks.for_case(reader.speaker.about(row, product, flags), text, row.categories)[0].text)]


def _buttons(row: Case | Crisis, more: str, reader: Reader) -> tuple[Button, ...]:
    """What can be done now, by this reader, then the way to the whole."""
    subject = "case" if isinstance(row, Case) else "crisis"
    row_id = row.id or 0
    shown = []
    for action in _possible(row, _BUTTONS[subject]):
        info = ACTIONS[action]
        if reader.clicks:
            shown.append(Button(action, info.label, confirm=_CONFIRM.get(action, "")))
        elif reader.person and info.allowed(subject, reader.person.role):
            shown.append(Button(action, info.label, reader.links.make(action, subject, row_id, reader.person.name)))
    if reader.desk and not reader.clicks and reader.person is None:
        shown.append(Button("desk", "去处理", reader.links.desk(subject, row_id)))
    return (*shown, Button("view", more, reader.links.view(subject, row_id)))


def _menu(row: Case | Crisis, reader: Reader) -> tuple[Button, ...]:
    """What can be done besides, where clicks come back; elsewhere the desk has it."""
    actions = _possible(row, _MORE["case" if isinstance(row, Case) else "crisis"]) if reader.clicks else ()
    return tuple(Button(action, ACTIONS[action].label) for action in actions)


def _possible(row: Case | Crisis, actions: Iterable[str]) -> Iterator[str]:
    """Of these actions, those that the row's state allows and that are not done yet."""
    subject = "case" if isinstance(row, Case) else "crisis"
    return (
        action for action in actions if row.state in ACTIONS[action].moves[subject][0] and not _pointless(action, row)
    )


def _pointless(action: str, row: Case | Crisis) -> bool:
    """Whether the state allows it, but it was done already."""
    facts: dict[str, Any] = {"claim": row.assignee_id}
    if isinstance(row, Crisis):
        facts |= {name: way in row.notices for name, way in NOTICE_WAYS[row.kind].items()}
        facts |= {"plan": row.plan and row.members and row.facts, "review": row.review}
        facts |= {name: True for kind, ways in NOTICE_WAYS.items() if kind != row.kind for name in ways}
    else:
        facts |= {"escalate": row.crisis_id}
    return bool(facts.get(action))

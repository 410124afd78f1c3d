"""What is said of silence: a row on which nothing happens, and all the deadlines that passed while nobody watched."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from alerts import cards, words
from alerts.cards import Reader
from alerts.content import Button, Card, Line, Span, bold, line, link
from monitor import queries
from monitor.models import Outbox, Person
from monitor.queries import CaseView, CrisisView

_SUBJECTS = {"crisis": "危机", "case": "差评"}
_CRISES = 20  # named one by one; a message holds no more


def stalled_card(row: Outbox, name: str, assignee: Person | None, reader: Reader) -> Card:
    """Nothing happened about a case or crisis for too long; after some questions the lead is asked."""
    since = datetime.fromisoformat(row.payload["since"])
    holder = assignee.name if assignee else "负责人"
    silent = words.duration(reader.now - since)
    if row.payload.get("rung"):
        said = line(bold(f"{holder}已经 {silent} 没有动静"), "，问过几次也没有回音，请主管看一下要不要转给别人。")
    else:
        said = line(
            bold(f"已经 {silent} 没有动静"), f"：上一步在{reader.moment(since)}。{holder}请处理，或记一下进展。"
        )
    page = Button("view", "看详情", reader.links.view(row.subject, row.subject_id))
    return Card(f"【没有进展】{_SUBJECTS[row.subject]}：{name}", (said,), (page,), f"{row.subject}:{row.subject_id}")


def has_moved(view: CrisisView | CaseView, row: Outbox) -> bool:
    """Whether somebody did something since the question was written down."""
    since = datetime.fromisoformat(row.payload["since"])
    return any(event.door != "system" and event.at > since for event in view.events)


def digest_card(session: Session, row: Outbox, reader: Reader) -> Card:
    """All deadlines that passed while the service stood still."""
    facts = row.payload
    crises, count = facts["crises"], facts["count"]
    told = [f"{len(crises)} 个危机"] * bool(crises) + [f"{count} 件差评"] * bool(count)
    lines = [line("评哨停过一阵，没能按时提醒。这段时间过了时限的都在这里，不再一条条发。")]
    lines += [_crisis(session, crisis_id, stages, reader) for crisis_id, stages in crises[:_CRISES]]
    if len(crises) > _CRISES:
        lines.append(line(f"……另有 {len(crises) - _CRISES} 个危机"))
    if count:
        stages = "，".join(f"“{words.STAGES['case'].get(stage, stage)}” {n} 件" for stage, n in facts["stages"].items())
        lines += [line(bold("差评过了时限的："), stages), _cases(session, facts["cases"], count, reader)]
    return Card(f"【补报】{'、'.join(told)}过了时限", tuple(lines))


def _crisis(session: Session, crisis_id: int, stages: list[list[str]], reader: Reader) -> Line:
    view = queries.crisis_view(session, crisis_id, limit=1, events=0)
    if view is None:
        raise LookupError(f"库里没有危机 {crisis_id}")
    return line(
        bold(f"危机 #{crisis_id} {cards.crisis_name(view, reader)}"),
        f"：{_passed('crisis', stages, reader)}，{_holder(view.assignee)} ",
        link("看详情", reader.links.view("crisis", crisis_id)),
    )


def _cases(session: Session, listed: list[list[Any]], count: int, reader: Reader) -> Line:
    stages = dict[int, list[list[str]]](map(tuple, listed))
    parts: list[str | Span] = []
    for n, view in enumerate(queries.case_views(session, list(stages)), 1):
        case_id = view.case.id or 0
        said = f"{cards.case_name(view, reader)}：{_passed('case', stages[case_id], reader)}，{_holder(view.assignee)} "
        parts += [f"\n{n}. " if parts else f"{n}. ", said, link("看详情", reader.links.view("case", case_id))]
    if count > len(listed):
        parts.append(f"\n……另有 {count - len(listed)} 件，在状态页上看")
    return line(*parts)


def _passed(subject: str, stages: list[list[str]], reader: Reader) -> str:
    due = ((words.STAGES[subject].get(stage, stage), datetime.fromisoformat(at)) for stage, at in stages)
    return "，".join(f"“{label}”应在{reader.moment(at)} 前" for label, at in due)


def _holder(assignee: Person | None) -> str:
    return f"负责人是{assignee.name}" if assignee else "还没人认领"

"""What is said besides the cards: reminders, breaches, growth, trouble with the monitor itself, summaries."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts import words
from alerts.cards import Reader
from alerts.content import Button, Card, Line, bold, line, link
from monitor.models import Outbox, Person
from monitor.queries import CrisisView
from monitor.transitions import ACTIONS

_RUNGS = {"assignee": "负责人", "channel": "全组", "lead": "主管", "manager": "经理"}
_HEADS = {"timer.reminder": "【快到时限】", "timer.breached": "【超时】", "timer.rung": "【超时升级】"}
_SUBJECTS = {
    "crisis": "危机",
    "case": "差评",
    "source": "来源",
    "report": "报告",
    "outbox": "消息",
    "clock": "时钟",
    "indicator": "指标",
    "timers": "补报",
    "upkeep": "自检",
}
_MOST_LINES, _ROOM = 30, 8000  # lines and characters of a history: what any message holds, however it is escaped
_WRITTEN = {"members": "应急小组成员", "facts": "已知事实"}
_KINDS = {
    "crisis": "危机",
    "case": "差评",
    "cases": "差评清单",
    "timer": "时限提醒",
    "source": "来源状态",
    "report": "报告",
    "outbox": "送达异常",
    "clock": "时钟异常",
    "indicator": "指标变差",
    "timers": "补报",
    "upkeep": "自检",
}


def timer_card(row: Outbox, due: datetime, name: str, assignee: Person | None, reader: Reader) -> Card:
    """A reminder, a breach or a rung of the ladder, about the deadline of the case or crisis of that name."""
    facts = row.payload
    stage = words.STAGES[row.subject].get(facts["stage"], facts["stage"])
    holder = f"负责人是{assignee.name}" if assignee else "还没人认领"
    late = words.duration(reader.now - due)
    if row.kind == "timer.reminder":
        left = words.duration(due - reader.now)
        said = line(bold(f"还有 {left}"), f"：“{stage}”要在{reader.moment(due)} 前完成，{holder}。")
    elif row.kind == "timer.breached":
        said = line(bold("已超时"), f"：“{stage}”应在{reader.moment(due)} 前完成，已过 {late}，{holder}。")
    else:
        to = _RUNGS.get(facts.get("rung", ""), "")
        said = line(bold(f"升级到{to}"), f"：“{stage}”过时限 {late}了还没完成，{holder}。")
    about = f"{row.subject}:{row.subject_id}"
    return Card(f"{_HEADS[row.kind]}{_SUBJECTS[row.subject]}：{name}", (said,), (_page(row, reader),), about)


def history_card(acts: Sequence[Mapping[str, Any]], row: Outbox, reader: Reader) -> Card:
    """All that people did, with all they wrote: one message below a card, edited in place.

    Args:
        acts: Who did what when, and what was written, oldest first.
        row: Whose history it is.
        reader: For whom.
    """
    told = [(_done(act, reader), list(_written(act))) for act in acts]
    first = _fitting(told)
    lines: list[Line] = []
    if first:
        lines.append(line(f"更早的 {first} 步：", link("看详情", reader.links.view(row.subject, row.subject_id))))
    heads: list[str] = []
    for head, written in told[first:]:
        heads.append(head)
        if written:
            lines += [line("\n".join(heads)), *(line(text, role="small") for text in written)]
            heads = []
    return Card("处理经过", (*lines, *([line("\n".join(heads))] if heads else [])))


def _done(act: Mapping[str, Any], reader: Reader) -> str:
    at = datetime.fromisoformat(act["at"]).astimezone(reader.zone)  # no 今天: it is still read tomorrow
    return f"{at.month}月{at.day}日 {at:%H:%M} {act['who']} {ACTIONS[act['what']].label}"


def _written(act: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{_WRITTEN.get(name, name)}：{text}" for name, text in act["more"].items() if text)
    if act["note"]:
        yield act["note"]


def _fitting(told: Sequence[tuple[str, Sequence[str]]]) -> int:
    """From which act on all fits one message; the last always does."""
    lines = size = 0
    for place in range(len(told) - 1, -1, -1):
        head, written = told[place]
        lines, size = lines + 1 + len(written), size + len(head) + sum(map(len, written))
        if (lines > _MOST_LINES or size > _ROOM) and place < len(told) - 1:
            return place + 1
    return 0


def grown_card(row: Outbox, view: CrisisView, name: str, reader: Reader) -> Card:
    """A crisis became bigger or worse."""
    said = line(bold("事态变大"), f"：现在 {view.count} 条，程度{words.SEVERITY[view.crisis.severity]}。")
    holder = line(f"负责人：{view.assignee.name if view.assignee else '还没人认领'}")
    return Card(f"【危机扩大】{name}", (said, holder), (_page(row, reader),), f"crisis:{view.crisis.id}")


def source_card(row: Outbox, reader: Reader) -> Card:
    """A source went silent, came back, or will be shut out soon."""
    facts = row.payload
    name = facts.get("name", "")
    if row.kind == "source.recovered":
        return Card(f"【来源恢复】{name}", (line("又能采到数据了。"),))
    if row.kind == "source.expiring":
        return Card(f"【快到期】{name}", (line(facts["error"]), line("到期后就采不到新评价了。", role="small")))
    since = datetime.fromisoformat(facts["since"]) if facts.get("since") else None
    silent = f"从{reader.moment(since)} 起没有新数据。" if since else "还从来没有采到过数据。"
    lines = (line(facts.get("error") or "没有说明原因"), line(silent, bold("这段时间没有差评提醒，不等于没有差评。")))
    return Card(f"【来源异常】{name}", lines)


def dead_card(row: Outbox, dead: Sequence[Outbox], total: int, reader: Reader) -> Card:
    """Messages that could not be delivered on another channel: the first of them, and how many in all."""
    facts = row.payload
    where = f"{facts['channel']} → {facts['target']}"
    lines: list[Line] = [line(f"原因：{facts['error']}"), line(f"没送到的有 {total} 条：")]
    title, buttons = f"【发不出去】{where}", []
    if facts.get("about") == "crisis":
        number = facts["about_id"]
        lines.insert(0, line(bold(f"危机 #{number} 的消息没送到，"), "那边的人可能还不知道，请直接打开处理。"))
        title = f"【危机没送到】#{number}：{where}"
        buttons.append(Button("view", "看危机", reader.links.view("crisis", number)))
    listed = "\n".join(
        f"{_KINDS.get(one.kind.split('.')[0], one.kind)}（{_SUBJECTS.get(one.subject, one.subject)} #{one.subject_id}，"
        f"{reader.moment(one.created_at)}）"
        for one in dead
    )
    if total > len(dead):
        listed += f"\n……另有 {total - len(dead)} 条，运行 pingshao outbox list 看全部"
    fix = line("修好后运行 pingshao outbox retry 重发。", role="small")
    return Card(title, (*lines, line(listed), fix), tuple(buttons))


def summary_card(payload: dict[str, Any]) -> Card:
    """A report in a few lines; the whole goes by mail."""
    return Card(payload["title"], tuple(line(text) for text in payload.get("lines", ())))


def _page(row: Outbox, reader: Reader) -> Button:
    return Button("view", "看详情", reader.links.view(row.subject, row.subject_id))

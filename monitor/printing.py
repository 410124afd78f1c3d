"""What commands print for people: the ledger, findings, the outbox; and JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from monitor.doctor import Finding
from monitor.models import Outbox
from monitor.rescoring import Rescored
from monitor.rota import Duty
from monitor.settings import Settings
from monitor.states import DELIVERY_LABELS, SOURCE_LABELS

_SPAN = ("start", "end")
_COLOURS = {"ok": "green", "failed": "red", "attention": "yellow"}
_COUNTS = {"pages": "页", "seen": "读到", "new": "新增", "changed": "变更", "duplicates": "重复", "skipped": "跳过"}


def as_json(value: Any) -> None:
    """Exactly one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def ledger(result: dict[str, Any], console: Console | None = None) -> None:
    """A pass's ledger as a table and three lines."""
    console = console or Console()
    table = Table("来源", "状态", *_COUNTS.values(), box=None, header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    for line in result["sources"]:
        status = "[yellow]跳过[/]" if line.get("busy") else _coloured(line["status"])
        table.add_row(line["name"], status, *(f"{line[name]:,}" for name in _COUNTS))
    console.print(table)
    for line in result["sources"]:
        if line["error"]:
            console.print(f"  {line['name']}：{line['error']}", style="yellow", markup=False, soft_wrap=True)
    feedback, cases, crises = result["feedback"], result["cases"], result["crises"]
    clocks, messages = result["timers"], result["outbox"]
    console.print(f"新评价 {feedback['new']:,} 条，其中差评 {feedback['negative']:,} 条")
    console.print(
        f"工单：新开 {cases['opened']:,}，未结 {cases['open']:,}；"
        f"危机：新开 {crises['opened']}，进行中 {crises['open']}"
    )
    console.print(
        f"时钟：到点 {clocks['fired']:,}，在走 {clocks['armed']:,}；消息：发出 {messages['sent']}，"
        + "，".join(f"{DELIVERY_LABELS[state]} {messages[state]}" for state in ("pending", "uncertain", "dead"))
    )
    if messages["pending"] or messages["uncertain"] or messages["dead"]:
        console.print("  没发出的消息和原因：pingshao outbox list", style="yellow")


def _coloured(status: str) -> str:
    return f"[{_COLOURS[status]}]{SOURCE_LABELS[status]}[/]"


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where that is a terminal; gives what is told how much is done, and of how much."""
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def rescored(done: Rescored, as_json_too: bool) -> None:
    """What a run of ``pingshao rescore`` changed."""
    if as_json_too:
        as_json(asdict(done))
        return
    lines = [f"用 {done.model} 重新打分 {done.scored:,} 条，结论变了 {done.changed:,} 条"]
    if done.changed:
        lines.append(f"  其中变成差评 {done.now_negative:,} 条，变成非差评 {done.now_harmless:,} 条")
    if done.corrected:
        lines.append(f"  {done.corrected:,} 条按客服的更正，不按模型")
    if done.cases:
        lines.append(f"  {done.cases:,} 个未结工单的类别或严重程度随之更新；状态和时钟不变")
    if done.left:
        lines.append(f"  还有 {done.left:,} 条刚被别的进程改过；重启 pingshao serve 让它也用新模型，再跑一次 rescore")
    Console().print(*lines, sep="\n", highlight=False, markup=False, soft_wrap=True)


def findings(found: Iterable[Finding], as_json_too: bool) -> int:
    """What the doctor saw, line by line; exit status 1 where something is to be done."""
    console, seen = Console(), []
    for finding in found:
        seen.append(finding)
        if not as_json_too:
            console.print("[green]✓[/]" if finding.ok else "[red]✗[/]", end=" ")
            console.print(f"{finding.name}：{finding.says}", markup=False, soft_wrap=True)
            if not finding.ok:
                console.print(f"    → {finding.todo}", style="yellow", markup=False, soft_wrap=True)
    faults = sum(not finding.ok for finding in seen)
    if as_json_too:
        as_json({"ok": not faults, "findings": [asdict(f) | {"ok": f.ok} for f in seen]})
    else:
        console.print("一切正常" if not faults else f"{faults} 处要处理")
    return 1 if faults else 0


def duties(found: Sequence[Duty], settings: Settings, as_json_too: bool) -> None:
    """Who is on duty: one object, or a table of now and of every later span in which somebody is."""
    if as_json_too:
        spans = [{name: getattr(one, name).astimezone(settings.zone).isoformat() for name in _SPAN} for one in found]
        as_json({"duties": [asdict(one) | span for one, span in zip(found, spans, strict=True)]})
        return
    if not found:
        Console().print("没有排班；在配置里写 [[rotas]]", style="yellow", markup=False)
        return
    table = Table("店铺", "从", "到", "值班", box=None, header_style="bold")
    begun: set[Any] = set()
    for one in found:
        shops, people = escape("、".join(map(settings.shop_name, one.shops))), escape("、".join(one.people))
        start, end = (f"{at.astimezone(settings.zone):%m-%d %H:%M}" for at in (one.start, one.end))
        if one.shops not in begun:
            table.add_row(shops, "现在", end, people or "—")
        elif people:
            table.add_row("", start, end, people)
        begun.add(one.shops)
    Console().print(table)


def outbox(rows: Sequence[Outbox], zone: ZoneInfo, as_json_too: bool) -> None:
    """Messages that were not sent yet."""
    names = ("id", "dedupe_key", "channel", "target", "kind", "state", "attempts", "last_error")
    if as_json_too:
        as_json({"outbox": [{name: getattr(row, name) for name in names} for row in rows]})
        return
    console = Console()
    if not rows:
        console.print("没有等着发的消息")
        return
    table = Table("编号", "消息", "渠道", "状态", "次数", "下次", box=None)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        following = f"{row.not_before.astimezone(zone):%m-%d %H:%M}"
        place, state = f"{row.channel} {row.target}", DELIVERY_LABELS[row.state]
        table.add_row(str(row.id), row.dedupe_key, place, state, str(row.attempts), following)
    console.print(table)
    for row in rows:
        if row.last_error:
            console.print(f"  {row.id}：{row.last_error}", style="yellow", markup=False, soft_wrap=True)

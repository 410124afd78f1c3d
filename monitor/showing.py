"""What ``pingshao sources`` and ``pingshao try`` print for people."""

from collections.abc import Sequence
from typing import Any
from unicodedata import category

from rich.console import Console
from rich.table import Table

from monitor.catalog import Kind
from monitor.states import SOURCE_LABELS

_LONGEST = 300  # characters of a text that are shown
_REASONS = 5  # of what was left out


def catalog(found: Sequence[Kind], sources: Sequence[dict[str, Any]], console: Console | None = None) -> None:
    """The kinds, then the configured sources."""
    console = console or Console()
    width = max(len(kind.kind) for kind in found)
    for kind in found:
        asks = [f"要写 {'、'.join(kind.required)}"] if kind.required else []
        asks += [f"环境变量 {'、'.join(kind.env)}"] if kind.env else []
        asks += ["默认不开：要写 observed = true"] if kind.opt_in else []
        _line(console, f"{kind.kind:{width}}  {'；'.join([kind.title, *asks])}  {kind.page}")
    if not sources:
        console.print("\n还没有配置来源；用 pingshao try KIND --url 网址 可以先看一页", style="yellow")
        return
    table = Table("来源", "kind", "状态", "上次抓取", "页", "读到", "新增", box=None, header_style="bold")
    for one in sources:
        counts = [f"{one['last_run'][name]:,}" for name in ("pages", "seen", "new")] if one["last_run"] else [""] * 3
        state = SOURCE_LABELS[one["status"]] if one["enabled"] else "停用"
        table.add_row(one["name"], one["kind"], state, (one["last_run_at"] or "")[:16].replace("T", " "), *counts)
    _fold(table)
    console.print()
    console.print(table)
    for one in sources:
        for said in (one["error"], *(f"环境变量 {name} 没有设置" for name in one["missing_env"])):
            if said:
                _line(console, f"  {one['name']}：{said}", "yellow")


def tried(told: dict[str, Any], console: Console | None = None) -> None:
    """One page: what was found, what is missing, what is likely wrong."""
    console = console or Console()
    _line(console, f"{SOURCE_LABELS[told['status']]}  {told['page']}")
    if told["error"]:
        _line(console, f"  {told['error']}", "red")
    more = "；后面还有别的页" if told["more"] else ""
    _line(
        console, f"匹配 {told['matched']} 处，可用 {told['usable']} 条，跳过 {told['skipped']} 条{more}；什么也没有入库"
    )
    if told["fill"]:
        _line(console, "有内容的：" + "，".join(f"{name} {share:.0%}" for name, share in told["fill"].items()))
    for number, item in enumerate(told["items"], 1):
        console.print(f"\n{number}", style="bold")
        for name, value in item.items():
            text = str(value)
            _line(console, f"  {name}：{text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}")
    if told["left_out"]:
        console.print("\n没有用上的：", style="yellow")
        for line in told["left_out"][:_REASONS]:
            _line(console, f"  {line}")
    for hint in told["hints"]:
        _line(console, f"→ {hint}", "yellow")


def _fold(table: Table) -> None:
    for column in table.columns:
        column.overflow = "fold"


def _line(console: Console, text: str, style: str = "") -> None:
    """Text from outside must not steer the terminal."""
    text = "".join("\ufffd" if category(letter) == "Cc" and letter != "\n" else letter for letter in text)
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

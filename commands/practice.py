"""``demo`` and ``rehearse``: a crisis played on a clock that runs ahead."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import Json
from commands.root import Root
from monitor.errors import WrongCall

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.settings import Settings


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="结果写到哪个目录")] = Path("var/demo"),
) -> int:
    """模拟一家店和它的一场危机，一天多的时钟一分钟内走完。"""
    from rich.console import Console

    from alerts.rehearsal.run import run_demo
    from monitor.clock import HandClock

    root = Root.of(context)
    return run_demo(root.build, folder, HandClock(root.clock.now()), Console())


def rehearse(
    context: typer.Context,
    scenario: Annotated[Path | None, typer.Argument(help="剧本文件；不写就用自带的“苏州仓漏发”")] = None,
    folder: Annotated[Path, typer.Option(help="结果写到哪个目录")] = Path("var/rehearsals"),
    write: Annotated[Path | None, typer.Option(help="只把自带的剧本写到这个文件，好改成自己的")] = None,
    as_json: Json = False,
) -> int:
    """用自己的配置演练一场危机：消息只进演练邮箱和演练群，一天的时钟一分钟走完。"""
    from rich.console import Console

    from alerts.rehearsal import drill
    from alerts.rehearsal import scenario as scenarios
    from monitor import printing
    from monitor.clock import HandClock
    from monitor.logs import set_up

    if write is not None:
        if write.exists():
            raise WrongCall(f"{write} 已经存在，不会覆盖")
        write.write_text(scenarios.shipped(), encoding="utf-8")
        typer.echo(f"写好 {write}")
        return 0
    set_up()
    root = Root.of(context)
    console = Console(stderr=as_json)
    settings = _laid(root.settings(), console)
    played = scenarios.read(scenario, settings)
    outcome = drill.run_drill(root.build, settings, played, folder, HandClock(root.clock.now()), console)
    printing.as_json(outcome.as_json()) if as_json else drill.show(outcome, settings.zone, console)
    return 0


def _laid(file: "Settings", console: "Console") -> "Settings":
    """The config with what the desk changed of it; what does not count, or cannot be asked for, is told."""
    from rich.text import Text
    from sqlalchemy.exc import SQLAlchemyError

    from monitor import overrides

    try:
        laid = overrides.stored(file)
    except (SQLAlchemyError, OSError, ImportError) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        console.print(Text(f"数据库打不开，工作台上改过的设置没有算进来：{said}", "red"), soft_wrap=True)
        return file
    for key, why in laid.left_out.items():
        console.print(Text(f"工作台上改过的 {key} 和配置文件对不上，没有算进来：{why}", "red"), soft_wrap=True)
    return laid.settings

"""``rota``: who is on duty, and swaps."""

from datetime import timedelta
from typing import Annotated

import typer

from commands.options import Json
from commands.root import Root, user

cli = typer.Typer(help="谁在值班，换班。", invoke_without_command=True, rich_markup_mode=None)


@cli.callback()
def shown(context: typer.Context, as_json: Json = False) -> int:
    """现在谁在值班，往后七天轮到谁。"""
    from monitor import db, printing, rota

    if context.invoked_subcommand is not None:
        return 0
    app = Root.of(context).app()
    settings, now = app.core.settings, app.core.clock.now()
    with db.reading(app.core.engine) as session:
        duties = rota.duties(settings, session, now, now + timedelta(days=7))
    printing.duties(duties, settings, as_json)
    return 0


@cli.command()
def swap(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="谁来值班")],
    absent: Annotated[str, typer.Argument(metavar="FOR", help="替谁")],
    start: Annotated[str, typer.Argument(metavar="FROM", help="从哪天或何时起（ISO）")],
    end: Annotated[str, typer.Argument(metavar="TO", help="到哪天（含当天）或何时（ISO）")],
) -> int:
    """换班：一个人替另一个人值班，从何时到何时。"""
    from monitor import rota

    app = Root.of(context).app()
    told = rota.swap(app.core, who, absent, start, end, user())
    zone = app.core.settings.zone
    spans = [at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in (told.starts_at, told.ends_at)]
    typer.echo(f"{spans[0]} 到 {spans[1]}，{who} 替 {absent} 值班")
    return 0

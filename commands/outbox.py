"""``outbox``: the messages that wait, may have arrived, or could not be sent."""

from typing import Annotated

import typer

from commands.options import Json
from commands.root import Root, user

cli = typer.Typer(help="等着发、不确定、发不出去的消息。", no_args_is_help=True, rich_markup_mode=None)


@cli.command("list")
def listed(context: typer.Context, as_json: Json = False) -> int:
    """列出等待、不确定和发不出去的消息。"""
    from alerts import outbox
    from monitor import db, printing

    app = Root.of(context).app()
    with db.reading(app.core.engine) as session:
        rows = outbox.listing(session)
    printing.outbox(rows, app.core.settings.zone, as_json)
    return 0


@cli.command()
def retry(
    context: typer.Context, ids: Annotated[list[int] | None, typer.Argument(help="消息编号；不写就是全部")] = None
) -> int:
    """把发不出去的消息再发一次。"""
    from alerts import outbox

    app = Root.of(context).app()
    count = outbox.retry(app.core, ids, user())
    typer.echo(f"重新排队 {count} 条，发出 {app.deliver_patiently()} 条")
    return 0

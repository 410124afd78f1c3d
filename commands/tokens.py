"""``token``: programs' ways into the API."""

from typing import Annotated, Any

import typer

from commands import options
from commands.root import Root, user

cli = typer.Typer(help="程序凭令牌使用接口。", no_args_is_help=True, rich_markup_mode=None)


@cli.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="名字，比如 erp")],
    scope: Annotated[
        list[str], typer.Option(help="能做什么：read、act、settings、indicators、export、admin；可以写几次")
    ],
    person: Annotated[str, typer.Option(help="代表谁；不写就代表程序自己")] = "",
    role: Annotated[str, typer.Option(help="程序自己的角色：agent、lead、manager、brand 或 admin")] = "",
    shop: Annotated[list[str] | None, typer.Option(help="只看这个店铺；可以写几次，不写就是全部")] = None,
    lasts: Annotated[str, typer.Option(help="有效多久，如 90d；always 是一直有效")] = "90d",
) -> int:
    """新建一个令牌；只显示这一次，请马上抄下来。"""
    from alerts.desk import tokens
    from monitor import db
    from monitor.durations import parse_duration
    from monitor.errors import WrongCall

    try:
        span = None if lasts == "always" else parse_duration(lasts)
    except ValueError as error:
        raise WrongCall(f"--lasts: {error}") from None
    core = Root.of(context).app().core
    wish = tokens.Wish(name, scope, person, role, shop or (), span)
    with db.writing(core.engine) as session:
        token = tokens.add(core, session, wish, user(), "cli")
    typer.echo(token)
    return 0


@cli.command("list")
def list_tokens(context: typer.Context, as_json: options.Json = False) -> int:
    """列出令牌，最新的在前。"""
    from alerts.desk import tokens
    from monitor import db, printing

    core = Root.of(context).app().core
    now = core.clock.now()
    with db.reading(core.engine) as session:
        rows: list[dict[str, Any]] = [
            {
                "name": row.name,
                "as": person or f"role:{row.role}",
                "scopes": row.scopes,
                "shops": row.shops,
                "state": tokens.state(row, now),
                "expires_at": row.expires_at and row.expires_at.isoformat(),
                "last_used_at": row.last_used_at and row.last_used_at.isoformat(),
            }
            for row, person in tokens.listing(session)
        ]
    if as_json:
        printing.as_json({"tokens": rows})
        return 0
    for row in rows:
        typer.echo("\t".join((row["name"], row["as"], ",".join(row["scopes"]), tokens.STATES[row["state"]])))
    return 0


@cli.command()
def revoke(context: typer.Context, name: str) -> int:
    """停用一个令牌，马上生效。"""
    from alerts.desk import tokens
    from monitor import db

    core = Root.of(context).app().core
    with db.writing(core.engine) as session:
        tokens.revoke(core, session, name, user(), "cli")
    typer.echo(f"{name} 停用了")
    return 0

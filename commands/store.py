"""``db``: the store itself."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import Json
from commands.root import Root, user
from monitor.errors import WrongCall

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.limits import Limits

cli = typer.Typer(help="库本身：从一种数据库搬到另一种。", no_args_is_help=True, rich_markup_mode=None)
_SHOWN = "postgresql+psycopg://用户@主机/库 或 sqlite:///文件"


@cli.command()
def move(
    context: typer.Context,
    to: Annotated[str, typer.Option(help=f"新库的地址：{_SHOWN}；库要已经建好，里面是空的")] = "",
    to_env: Annotated[str, typer.Option(help="地址里有密码时：放着地址的环境变量的名字")] = "",
    as_json: Json = False,
) -> int:
    """把库从 SQLite 搬到 PostgreSQL，或搬回来，逐表核对；先停掉 serve，旧库原样不动。"""
    from monitor import moving, printing
    from monitor.limits import Limits
    from monitor.logs import set_up

    if bool(to) == bool(to_env):
        raise WrongCall("--to 和 --to-env 写一个")
    if to_env and not os.environ.get(to_env):
        raise WrongCall(f"--to-env: 没有环境变量 {to_env}")
    root = Root.of(context)
    set_up()
    settings = root.settings()
    limits = Limits(moving.NAME)
    source = _opened(f"{root.path}: service.database_url", settings.service.database_url, limits)
    target = _opened("--to-env" if to_env else "--to", to or os.environ[to_env], limits)
    try:
        with printing.progress("搬库") as progress:
            tables = moving.move(source, target, root.clock.now(), user(), progress)
    finally:
        source.dispose()
        target.dispose()
    if as_json:
        printing.as_json({"from": _place(source), "to": _place(target), "tables": tables})
        return 0
    for name, count in tables.items():
        if count:
            typer.echo(f"  {name:<20}{count:>14,}")
    typer.echo(f"搬好了：{sum(tables.values()):,} 行，{len(tables)} 张表逐表核对过，新旧一样")
    typer.echo(f"下一步：把 {root.path} 的 database_url 换成新库（{_place(target)}），pingshao doctor，再启动 serve")
    typer.echo("搜索索引由 serve 重新建；旧库原样没动，用一阵子没问题再删")
    return 0


def _opened(where: str, url: str, limits: "Limits") -> "Engine":
    """An engine for an address that somebody typed; the address itself is never said: it may hold a password."""
    from sqlalchemy.exc import ArgumentError

    from monitor import db

    try:
        return db.connect(url, limits=limits)
    except (ArgumentError, ImportError, ValueError):
        raise WrongCall(f"{where}: 应为 {_SHOWN}") from None


def _place(engine: "Engine") -> str:
    """Where a store is, without a password and whatever else stands behind the address."""
    return engine.url.set(query={}).render_as_string()

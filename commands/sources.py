"""Where reviews come from: ``crawl``, ``sources``, ``try`` and ``new connector``."""

from typing import Annotated

import typer

from commands import options
from commands.options import Json
from commands.root import Root
from monitor.errors import WrongCall

new_cli = typer.Typer(help="给开发的人：生成新文件的骨架。", no_args_is_help=True, rich_markup_mode=None)


def crawl(
    context: typer.Context, name: Annotated[str, typer.Argument(help="来源的名字")], as_json: Json = False
) -> int:
    """抓一个来源，一次。"""
    import asyncio

    from monitor import ledger

    app = Root.of(context).app()
    options.known("来源", name, [s.name for s in app.core.settings.sources])
    since = ledger.mark(app.core)
    lines = asyncio.run(app.crawl_all([name]))
    return options.tell(ledger.ledger(app.core, since, lines, 0, 0), as_json)


def sources(context: typer.Context, as_json: Json = False) -> int:
    """列出能用的来源种类、各要什么；有配置时还有每个来源的状态和上次抓取。"""
    from monitor import catalog, db, printing, showing

    root = Root.of(context)
    kinds, configured = catalog.kinds(), []
    if root.path.exists():
        app = root.app()
        with db.reading(app.core.engine) as session:
            configured = catalog.configured(session, app.core.settings)
    printing.as_json(catalog.as_json(kinds, configured)) if as_json else showing.catalog(kinds, configured)
    return 0


def try_source(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="来源的名字，或 kind")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="key=value，可重复，如 item=.review")] = None,
    url: Annotated[str, typer.Option(help="换成这一页")] = "",
    as_json: Json = False,
) -> int:
    """只抓一页，看会存下什么、哪里可能写错了；什么也不入库。"""
    from monitor import printing, showing, trying
    from monitor.logs import set_up
    from monitor.settings import Settings

    set_up()
    root = Root.of(context)
    settings = root.settings() if root.config or root.path.exists() else Settings()
    told = trying.attempt(settings, root.clock, name, changes or (), url)
    printing.as_json(told) if as_json else showing.tried(told)
    return int(trying.failed(told))


@new_cli.command("connector")
def new_connector(name: Annotated[str, typer.Argument(help="小写英文名，就是配置里的 kind")]) -> int:
    """生成一个连接器：代码、样例和文档，马上能过测试。"""
    from crawler import scaffold

    try:
        files = scaffold.write(name)
    except scaffold.Refused as error:
        raise WrongCall(str(error)) from None
    for file in files:
        typer.echo(f"写好 {file}")
    return 0

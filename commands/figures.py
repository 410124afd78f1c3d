"""``indicators`` and ``improved``: figures and facts that people enter for the reports."""

from pathlib import Path
from typing import Annotated

import typer

from commands import options
from commands.options import Json
from commands.root import Root, user
from monitor.errors import WrongCall

cli = typer.Typer(help="店铺指标（退款纠纷率、DSR……）：导入、查看。", no_args_is_help=True, rich_markup_mode=None)


@cli.command("import")
def import_indicators(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="后台导出或自己整理的 CSV、XLSX")],
    shop: Annotated[str, typer.Option(help="店铺的 id；表里有“店铺”一列就不用写")] = "",
    as_json: Json = False,
) -> int:
    """导入店铺指标和行业值；同一天再导入一次就是更正。"""
    from crawler.bases.base import SourceError
    from crawler.items import BadRow
    from monitor import indicators, printing
    from monitor.indicator_files import read_indicators

    app = Root.of(context).app()
    settings = app.core.settings
    if shop:
        options.known("--shop", shop, [one.id for one in settings.shops])
    shops = {name: one.id for one in settings.shops for name in (one.id, one.name)}
    try:
        rows = list(read_indicators(file, shops, shop, settings.zone, app.core.clock.now()))
    except SourceError as error:
        raise WrongCall(str(error)) from None
    faults = [row for row in rows if isinstance(row, BadRow)]
    values = [row for row in rows if not isinstance(row, BadRow)]
    changed = indicators.store(app.core, values, user(), "cli")
    for fault in faults:
        typer.echo(f"{fault.where}: {fault.reason}", err=True)
    told = {"values": len(values), "changed": changed, "skipped": len(faults)}
    if as_json:
        printing.as_json(told)
    else:
        typer.echo(f"读到 {len(values)} 个值，新的或改了的 {changed} 个，读不了的 {len(faults)} 个")
    app.deliver_patiently()
    return int(bool(faults))


@cli.command("list")
def list_indicators(context: typer.Context, as_json: Json = False) -> int:
    """每家店每项指标最近一次的值，和行业比。"""
    from monitor import db, indicators, printing

    app = Root.of(context).app()
    settings = app.core.settings
    with db.reading(app.core.engine) as session:
        newest = indicators.newest(session, [one.id for one in settings.shops])
    names = ("shop_id", "name", "value", "industry", "above")
    rows = [{name: getattr(row, name) for name in names} | {"day": str(row.day)} for row in newest.values()]
    if as_json:
        printing.as_json({"indicators": rows})
        return 0
    for row in newest.values():
        industry = "没有行业值" if row.industry is None else f"行业 {indicators.shown(row.name, row.industry)}"
        mark = "　差" if indicators.bad(row, settings.policy.indicators) else ""
        label, value = indicators.KINDS[row.name].label, indicators.shown(row.name, row.value)
        typer.echo(f"{settings.shop_name(row.shop_id)}\t{label}\t{value}\t{industry}\t{row.day}{mark}")
    return 0


def improved(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="做了什么，如“加固包装”")],
    category: Annotated[str, typer.Option(help="想减少哪一类差评，如 破损包装")],
    shop: Annotated[str, typer.Option(help="店铺的 id；不写就是全部")] = "",
    product: Annotated[str, typer.Option(help="商品名，与评价里的一致；不写就是全部")] = "",
    day: Annotated[str | None, typer.Option("--date", help="从哪天起，YYYY-MM-DD，默认今天")] = None,
) -> int:
    """登记一项改进，之后的周报、月报会说它有没有让差评降下来。"""
    from monitor import improvements

    app = Root.of(context).app()
    entry = improvements.Entry(what, category, options.day(day, app.core), product, shop)
    row = improvements.add(app.core, entry, user(), "cli")
    typer.echo(f"记下了 #{row.id}：{row.what}")
    return 0

"""``author``: what is kept of one buyer, and the salt of the hashes by which buyers are told apart."""

import sys
from typing import Annotated

import typer

from commands.root import Root, user
from monitor.errors import WrongCall

cli = typer.Typer(help="个人信息请求：查一个买家、删一个买家、换盐。", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="买家在平台上的昵称，要完整的，不是打码的")]
Order = Annotated[str, typer.Option(help="订单号；昵称打了码的买家只能这样找")]


@cli.command()
def export(context: typer.Context, name: Name = "", order: Order = "") -> int:
    """把一个买家的全部评价和提及写到标准输出，一行一条 JSON。"""
    import json

    from monitor.erasing import hand_out

    _asked(name, order)
    core, count = Root.of(context).app().core, 0
    for row in hand_out(core, name, order, user()):
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    typer.echo(f"共 {count} 条" if count else _NOTHING, err=True)
    return 0


@cli.command()
def erase(
    context: typer.Context,
    name: Name = "",
    order: Order = "",
    yes: Annotated[bool, typer.Option("--yes", help="真的删；不写就只说有多少条")] = False,
) -> int:
    """删去一个买家写的话和身份，不能撤回；条数、评分和判定还在，报表不变。"""
    from monitor import db, erasing

    _asked(name, order)
    core = Root.of(context).app().core
    with db.reading(core.engine) as session:
        count = len(erasing.find(core, session, name, order))
    if not count:
        typer.echo(_NOTHING)
        return 0
    if not yes:
        raise WrongCall(f"找到 {count} 条；删去文字和身份以后不能撤回，真要删就加 --yes")
    done = erasing.erase(core, name, order, user())
    typer.echo(f"删去 {done.feedback} 条的文字和身份，{done.reports} 份报告里的引文也删了")
    if done.cases:
        typer.echo(f"还没了结的工单：{'、'.join(map(str, done.cases))}；里面已经没有原文，请人工收尾")
    typer.echo("删不到的：已经发出的消息和邮件、客服自己写的备注、以前的备份、平台上的原文")
    return 0


@cli.command()
def salt(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="真的换")] = False,
) -> int:
    """给买家代号换盐：旧代号整体换新，同一个买家前后仍认得出；盐存在 var/salts，要和 secret 一起保管。"""
    from monitor import salts

    if not yes:
        raise WrongCall("换盐期间入库会等着，换完要把 var/salts 存好，丢了就再也对不上老买家；真要换就加 --yes")
    core = Root.of(context).app().core
    done = salts.rotate(core, user())
    typer.echo(
        f"换好了 {done:,} 个买家代号；请把 {core.settings.service.var_dir / 'salts'} 拷到每台跑评哨的机器，并另外存好"
    )
    return 0


_NOTHING = "没有找到；平台打了码的昵称没有代号，请用 --order 订单号再找"


def _asked(name: str, order: str) -> None:
    if not (name.strip() or order.strip()):
        raise WrongCall("要写买家的昵称，或 --order 订单号")

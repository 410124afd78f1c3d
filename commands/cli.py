"""What each command is called, and the order in which ``--help`` lists them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from commands import (
    authors,
    care,
    feedback,
    figures,
    outbox,
    practice,
    reports,
    rota,
    service,
    sources,
    store,
    tokens,
    users,
)
from commands.root import Root

_COMMANDS: dict[str, Callable[..., int]] = {
    "init": service.init,
    "once": service.once,
    "crawl": sources.crawl,
    "sources": sources.sources,
    "try": sources.try_source,
    "import": feedback.import_file,
    "score": feedback.score,
    "rescore": feedback.rescore,
    "serve": service.serve,
    "worker": service.worker,
    "report": reports.report,
    "improved": figures.improved,
    "export": feedback.export,
    "doctor": service.doctor,
    "train": feedback.train,
    "demo": practice.demo,
    "rehearse": practice.rehearse,
    "backup": care.backup,
    "restore": care.restore,
    "retain": care.retain,
}
_GROUPS = {
    "indicators": figures.cli,
    "outbox": outbox.cli,
    "rota": rota.cli,
    "new": sources.new_cli,
    "user": users.cli,
    "token": tokens.cli,
    "author": authors.cli,
    "db": store.cli,
}

cli = typer.Typer(
    name="pingshao",
    help="评哨：盯住店铺评价和网上声音，出事时按时钟把人叫齐。",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@cli.callback()
def _main(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="配置文件；默认 $PINGSHAO_CONFIG，再默认 ./pingshao.toml")] = None,
) -> None:
    context.obj = replace(Root.of(context), config=config)


for _name, _command in _COMMANDS.items():
    cli.command(_name)(_command)
for _name, _group in _GROUPS.items():
    cli.add_typer(_group, name=_name)

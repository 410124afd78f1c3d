"""The documentation says what the program does: reference pages are made from it, links and examples are followed."""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from golden import check
from pydantic import BaseModel

import scheduler
from alerts import channel
from crawler import reference
from monitor import categories
from monitor.durations import parse_duration
from monitor.settings import Settings
from monitor.transitions import ACTIONS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def settings_page() -> Iterator[str]:
    yield "# Settings\n\nEvery key of `pingshao.toml`. Durations are `90s`, `10m`, `1h`, `7d`;"
    yield " secrets are named, never written.\n"
    yield from _section(Settings, "")


def _section(model: type[BaseModel], name: str) -> Iterator[str]:
    nested = []
    rows = []
    for key, field in model.model_fields.items():
        inner = _model(field.annotation)
        if inner is not None:
            many = "[[{}]]" if "list" in str(field.annotation) else "[{}]"
            nested.append((inner, f"{name}.{key}".lstrip("."), many))
            continue
        default = "required" if field.is_required() else _shown(field.get_default(call_default_factory=True))
        rows.append(f"| `{key}` | {default} | {_cell(field.description)} |\n")
    if rows:
        yield "\n| key | default | meaning |\n|---|---|---|\n" + "".join(rows)
    for inner, path, many in nested:
        yield f"\n## `{many.format(path)}`\n\n{(inner.__doc__ or '').strip()}\n"
        yield from _section(inner, path)


def _model(annotation: Any) -> type[BaseModel] | None:
    found = [annotation, *get_args(annotation)]
    return next((t for t in found if isinstance(t, type) and issubclass(t, BaseModel)), None)


def _shown(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d+[smhd]", value):
        assert parse_duration(value)
    if isinstance(value, list):
        value = [getattr(one, "value", one) for one in value]
    return "–" if value in (None, "", [], {}) else f"`{value}`"


def _cell(text: str | None) -> str:
    assert text, "every key is described"
    return " ".join(text.split()).replace("|", "\\|")


def commands_page() -> Iterator[str]:
    yield "# Commands\n\n`pingshao [--config FILE] COMMAND`. Exit status: 0 done; 1 a source, channel or row failed"
    yield " and the rest was done; 2 the call or the config is wrong, in one line. `--json` prints exactly one JSON"
    yield " object; logs go to standard error.\n"
    root: Any = typer.main.get_command(scheduler.cli)
    for path, command in sorted(_leaves(root, ())):
        yield f"\n## `pingshao {' '.join(path)}`\n\n{command.help}\n"
        rows = [
            f"| `{_name(p)}` | {_cell(getattr(p, 'help', None) or '–')} |\n" for p in command.params if p.name != "help"
        ]
        if rows:
            yield "\n| argument | meaning |\n|---|---|\n" + "".join(rows)


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            if child.invoke_without_command:
                yield (*path, name), child
            yield from _leaves(child, (*path, name))
        else:
            yield (*path, name), child


def _name(parameter: Any) -> str:
    return parameter.opts[-1] if parameter.opts[0].startswith("-") else parameter.name.upper()


def channels_page() -> Iterator[str]:
    yield "# Channels\n\nA channel's `kind`.\n\n"
    yield "| kind | what it is | cards edited in place | clicks come back |\n|---|---|---|---|\n"
    for kind in channel.kinds():
        found = channel.load(kind)
        said = " ".join((found.__doc__ or "").split())
        yield f"| `{kind}` | {said} | {_yes(found.live)} | {_yes(found.clicks)} |\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no: signed links instead"


def categories_page() -> Iterator[str]:
    yield "# Categories and flags\n\nData files under `monitor/categories/`; their examples are their tests.\n"
    for kind, title in (("category", "Categories"), ("flag", "Flags")):
        yield f"\n## {title}\n\n| code | 中文 |\n|---|---|\n"
        for file in sorted(categories.FOLDER.glob("*.toml")):
            data = tomllib.loads(file.read_text(encoding="utf-8"))
            if data["kind"] == kind:
                yield f"| `{data['code']}` | {data['name']} |\n"


def actions_page() -> Iterator[str]:
    yield "# Actions\n\nWhat people may do to a case or a crisis, through every door.\n\n"
    yield "| action | 按钮 | of | leads to | needs | who, for a case | who, for a crisis |\n"
    yield "|---|---|---|---|---|---|---|\n"
    for name, info in ACTIONS.items():
        to = "; ".join(f"{subject}: {state or 'same state'}" for subject, (_, state) in info.moves.items())
        who = [
            ", ".join(roles) if subject in info.moves else "–"
            for subject, roles in (("case", info.roles), ("crisis", info.crisis_roles))
        ]
        cells = (f"`{name}`", info.label, ", ".join(info.moves), to, info.needs or "–", *who)
        yield f"| {' | '.join(cells)} |\n"


REFERENCE: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings_page,
    "commands": commands_page,
    "connectors": reference.connectors_page,
    "channels": channels_page,
    "categories": categories_page,
    "actions": actions_page,
}


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_is_what_the_program_says(name: str, request: pytest.FixtureRequest) -> None:
    """Settings, commands, connectors, channels, categories and actions are documented as they are."""
    check(request, str(ROOT / "docs" / "reference" / f"{name}.md"), "".join(REFERENCE[name]()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of every page exists."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_pages_exist(page: Path) -> None:
    """Whoever types what a page says runs a command that is there."""
    known = {path[0] for path, _ in _leaves(typer.main.get_command(scheduler.cli), ())}
    for word in re.findall(r"(?m)^\s+(?:\S*/)?pingshao ([a-z]+)", page.read_text(encoding="utf-8")):
        assert word in known, word


def test_decisions_and_how_tos_are_short() -> None:
    """A decision and a how-to fit on a page: 200 and 250 words."""
    for folder, most in (("decisions", 200), ("how-to", 250)):
        for page in (ROOT / "docs" / folder).glob("*.md"):
            text = page.read_text(encoding="utf-8")
            words = len(re.findall(r"[A-Za-z0-9_`'’-]+", text)) + len(re.findall(r"[\u4e00-\u9fff]", text)) // 2
            assert words <= most, (page.name, words)

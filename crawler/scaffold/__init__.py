"""``pingshao new connector``: writes a connector that passes the tests as it stands, to be changed step by step."""

import importlib
import keyword
import re
from pathlib import Path

from crawler import reference

_TEMPLATES = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
_FILES = {
    "connector.py.txt": "crawler/spiders/{name}.py",
    "options.toml": "tests/fixtures/connectors/{name}/reviews/options.toml",
    "1.json": "tests/fixtures/connectors/{name}/reviews/1.json",
    "2.json": "tests/fixtures/connectors/{name}/reviews/2.json",
    "expected.json": "tests/fixtures/connectors/{name}/reviews/expected.json",
    "page.md": "docs/connectors/{name}.md",
}


class Refused(Exception):
    """Nothing was written; the message says why, in Chinese."""


def write(name: str, root: Path = reference.REPOSITORY) -> list[Path]:
    """Write the connector, its saved answers, its page, and its place in the reference.

    Args:
        name: The new ``kind``.
        root: The source checkout.

    Returns:
        The files written or changed.

    Raises:
        Refused: The name is no good or taken, or this is an installed package.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise Refused(f"名字应为小写英文、数字和下划线，2–31 个字符，字母开头，实为 {name!r}")
    if not (root / "pyproject.toml").is_file() or not (root / "tests").is_dir():
        raise Refused(f"只能在源码目录里用：{root} 里没有 pyproject.toml 和 tests，这是安装好的包")
    targets = {template: root / path.format(name=name) for template, path in _FILES.items()}
    for target in targets.values():
        if target.exists():
            raise Refused(f"{target} 已经有了，不覆盖")
    for template, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        target.write_text(text.replace("NAME", name).replace("CLASS", _class(name)), encoding="utf-8")
    return [*targets.values(), _refer(root)]


def _class(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _refer(root: Path) -> Path:
    """Bring the reference up to date; the new module has to be seen first."""
    importlib.invalidate_caches()
    page = root / reference.PAGE
    page.write_text("".join(reference.connectors_page()), encoding="utf-8")
    return page

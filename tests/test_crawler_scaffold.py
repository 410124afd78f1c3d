"""``pingshao new connector``, and the guide that begins with it, followed step by step in a copy of the repository."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from crawler_factories import serving

import scheduler
from crawler import reference, scaffold

ROOT = Path(__file__).parent.parent
NAMES = ["crawler", "monitor", "alerts", "reports", "commands", "docs", "tests"]
URL = "https://shop.example/api/reviews"


def make_checkout(folder: Path) -> Path:
    """The least that looks like one."""
    for name in ("tests", "docs/reference"):
        (folder / name).mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    return folder


def test_what_is_written(tmp_path: Path) -> None:
    """Code, saved answers and a page under the name given; the reference is as the program says."""
    root = make_checkout(tmp_path)
    files = {str(path.relative_to(root)) for path in scaffold.write("two_words", root)}
    assert files == {
        "crawler/spiders/two_words.py",
        "tests/fixtures/connectors/two_words/reviews/options.toml",
        "tests/fixtures/connectors/two_words/reviews/1.json",
        "tests/fixtures/connectors/two_words/reviews/2.json",
        "tests/fixtures/connectors/two_words/reviews/expected.json",
        "docs/connectors/two_words.md",
        "docs/reference/connectors.md",
    }
    code = (root / "crawler/spiders/two_words.py").read_text(encoding="utf-8")
    assert "class TwoWordsConnector(Connector[Options]):" in code
    assert not re.search("NAME|CLASS", code)
    assert (root / "docs/reference/connectors.md").read_text(encoding="utf-8").startswith("# Connectors")


@pytest.mark.parametrize("name", ["", "a", "MyShop", "my-shop", "1shop", "../evil", "import", "x" * 40])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is written."""
    root = make_checkout(tmp_path)
    with pytest.raises(scaffold.Refused, match="名字应为"):
        scaffold.write(name, root)
    assert not (root / "crawler").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """One file that is there is enough, and all stay as they are."""
    root = make_checkout(tmp_path)
    (root / "docs/connectors").mkdir()
    (root / "docs/connectors/myshop.md").write_text("mine")
    with pytest.raises(scaffold.Refused, match=r"myshop\.md.*不覆盖"):
        scaffold.write("myshop", root)
    assert not (root / "crawler").exists()
    assert (root / "docs/connectors/myshop.md").read_text() == "mine"


def test_an_installed_package_has_no_place_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and status 2, as for every wrong call."""
    with pytest.raises(scaffold.Refused, match="源码目录"):
        scaffold.write("myshop", tmp_path)
    monkeypatch.setattr(scaffold.write, "__defaults__", (tmp_path,))
    assert scheduler.run(["new", "connector", "myshop"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_names_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """File by file."""
    monkeypatch.setattr(scaffold.write, "__defaults__", (make_checkout(tmp_path),))
    assert scheduler.run(["new", "connector", "myshop"]) == 0
    assert capsys.readouterr().out.count("写好") == 7


def test_where_a_kind_is_documented() -> None:
    """On its own page where it has one, else in the reference."""
    assert reference.page_of("taobao") == "docs/connectors/taobao.md"
    assert reference.page_of("no_such") == "docs/reference/connectors.md#no_such"


class Copy:
    """A copy of the repository in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in NAMES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("var"))
        for file in (*ROOT.glob("*.md"), ROOT / "scheduler.py", ROOT / "pyproject.toml"):
            shutil.copy(file, folder)

    def run(self, command: str) -> str:
        words = shlex.split(command)
        start = {".venv/bin/pingshao": ["-m", "scheduler"], ".venv/bin/python": []}[words[0]]
        kept = (name for name in os.environ if name != "CI" and not name.startswith(("COV", "PYTEST", "PINGSHAO")))
        env = {name: os.environ[name] for name in kept}  # under CI no golden file may be written, but this is a copy
        done = subprocess.run(
            [sys.executable, *start, *words[1:]], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout


def commands() -> list[str]:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = guide.partition("## A connector in 10 minutes")[2].partition("\n## ")[0]
    return re.findall(r"(?m)^ {8}(\.venv/bin/.*)$", section)


@pytest.mark.slow
def test_the_guide_of_contributing_works(tmp_path: Path) -> None:
    """Every command of it, in its order, on a copy: made, tested, tried and crawled twice with nothing new."""
    make, test, golden, try_it, crawl, again, docs = commands()
    copy = Copy(tmp_path / "copy")
    copy.run(make)
    assert re.search(r"[2-9] passed", copy.run(f"{test} -p no:cacheprovider"))
    saved = copy.folder / "tests/fixtures/connectors/myshop/reviews"
    before = (saved / "expected.json").read_text(encoding="utf-8")
    copy.run(f"{golden} -p no:cacheprovider")
    assert (saved / "expected.json").read_text(encoding="utf-8") == before
    page = (copy.folder / "docs/connectors/myshop.md").read_text(encoding="utf-8")
    source = textwrap.dedent(re.search(r"(?m)^    \[\[sources\]\]\n(?:    .*\n)+", page)[0])  # type: ignore[index]
    answers = {f"/api/reviews?page={n}&per_page=2": (saved / f"{n}.json").read_text(encoding="utf-8") for n in (1, 2)}
    with serving(answers) as site:
        here = site.url("/api/reviews")
        shop = f'[service]\nallow_private_hosts = ["{site.host}"]\n[[shops]]\nid = "demo"\nname = "示例"\n'
        (copy.folder / "pingshao.toml").write_text(shop, encoding="utf-8")
        told = json.loads(copy.run(f"{try_it.replace(URL, here)} --json"))
        assert (told["status"], told["usable"], told["skipped"]) == ("ok", 1, 1)
        (copy.folder / "pingshao.toml").write_text(shop + source.replace(URL, here), encoding="utf-8")
        (first,) = json.loads(copy.run(f"{crawl} --json"))["sources"]
        (second,) = json.loads(copy.run(f"{again} --json"))["sources"]
    assert (first["new"], second["new"], second["duplicates"]) == (2, 0, 2)
    copy.run(f"{docs} -p no:cacheprovider -k reference")

"""A report in other shapes than HTML and mail: PDF by the system's Chromium, CSV of its counts, JSON of all figures."""

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from monitor import sheets
from monitor.errors import WrongCall
from reports import labels, target_words
from reports.build import Report, write
from reports.charts import font_file
from reports.counts import Counts
from reports.figures import Review
from reports.shares import Share
from reports.targets import targets

FORMATS = ("html", "pdf", "json", "csv")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_PATIENCE = 60  # seconds
_COLUMNS = ("部分", "名称", "条数", "负面", "有星级", "四星以上", "往期条数", "往期负面")
_HELD = ("部分", "名称", "做到", "一共", "上期做到", "上期一共", "目标")
_DIMENSIONS = {
    "shop": "店铺",
    "platform": "平台",
    "product": "商品",
    "sku": "规格",
    "warehouse": "仓库",
    "courier": "快递",
}


def write_as(report: Report, folder: Path, form: str) -> list[Path]:
    """Write a report into a folder in one of `FORMATS`; gives the files, ``html`` with pictures, mail and figures.

    Raises:
        WrongCall: there is no browser to make a PDF, or it failed.
    """
    if form == "html":
        return write(report, folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{report.name}.{form}"
    if form == "json":
        file.write_text(report.figures, encoding="utf-8")
    elif form == "csv":
        file.write_bytes(table(report))
    else:
        _print(report, file)
    return [file]


def table(report: Report) -> bytes:
    """The counts behind the page as CSV, a line each."""
    out = io.BytesIO()
    rows = (
        dict(zip(_COLUMNS, (part, name, *_four(now), norm.n, norm.negative), strict=True))
        for part, name, now, norm in _rows(report)
    )
    blank = dict.fromkeys((*_COLUMNS, *_HELD), "")
    sheets.write((blank | row for row in (*rows, *_targets(report))), "csv", out)
    return out.getvalue()


def _targets(report: Report) -> Iterator[dict[str, object]]:
    if isinstance(report.made, Review):
        for one in targets(report.made):
            told = (*_two(one.now), *_two(one.before), target_words.goal(one))
            yield dict(zip(_HELD, ("目标", target_words.NAMES[one.name], *told), strict=True))


def _two(share: Share) -> tuple[int, int]:
    return share.part, share.whole


def _four(counts: Counts) -> tuple[int, int, int, int]:
    return counts.n, counts.negative, counts.starred, counts.satisfied


def _rows(report: Report) -> Iterator[tuple[str, str, Counts, Counts]]:
    made = report.made
    if not isinstance(made, Review):
        yield "合计", "评价", made.reviews.now, made.reviews.norm
        yield "合计", "提及", made.mentions.now, made.mentions.norm
        for usual in made.categories:
            yield "类别", labels.category(usual.code), Counts(usual.count, usual.count), Counts()
        return
    yield "合计", "评价" if made.subject == "review" else "提及", made.totals.now, made.totals.norm
    for day in made.windows.now.days:
        yield "日期", day.isoformat(), made.days.get(day, Counts()), Counts()
    for row in made.categories:
        yield "类别", labels.category(row.code), Counts(row.now, row.now), Counts(row.norm, row.norm)
    for dimension, groups in made.groups.items():
        for group in groups:
            name = labels.platform(group.name) if dimension == "platform" else group.name
            yield _DIMENSIONS[dimension], name, group.counts.now, group.counts.norm


def _print(report: Report, file: Path) -> None:
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise WrongCall("--format pdf: 要用系统的 Chromium，没有找到；Debian 上运行 apt install chromium，或改用 html")
    with tempfile.TemporaryDirectory() as folder:
        page = write(report, Path(folder))[0]
        fonts = Path(folder, ".local", "share", "fonts")  # of this home: a bare system has none for Chinese
        fonts.mkdir(parents=True)
        (fonts / font_file().name).symlink_to(font_file())
        told = [f"--print-to-pdf={file.resolve()}", "--no-pdf-header-footer", f"--user-data-dir={folder}/profile"]
        # nothing of the page is fetched or run, and as root, as in a container, Chromium has no sandbox of its own
        quiet = [
            "--headless",
            "--disable-gpu",
            "--no-sandbox",
            "--disable-javascript",
            "--host-rules=MAP * 127.0.0.1:9",
        ]
        try:
            done = subprocess.run(  # noqa: S603 — the browser's own path, our own file
                [browser, *quiet, *told, page.as_uri()],
                env=os.environ | {"HOME": folder},
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise WrongCall(f"--format pdf: {browser} {_PATIENCE} 秒没有做完") from None
        if done.returncode or not file.exists():
            last = (done.stderr.decode(errors="replace").strip().splitlines() or ["没有说明原因"])[-1]
            raise WrongCall(f"--format pdf: {browser} 没有做成：{last}")

"""``kind = "file"``: CSV and XLSX exports that land in a folder."""

import hashlib
import logging
import time
from collections.abc import Iterator
from glob import glob, has_magic
from os import stat_result
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from crawler.bases import base
from crawler.bases.base import AttentionError, Connector, Output, SourceError, Visited
from crawler.bases.columns import check_map
from crawler.bases.files import Fault, Header, read_file

_MOST = 10_000  # files looked at, the newest; what was read of each is remembered
_FRESH_S = 10.0  # a file younger than this may still be written,
_PAUSE_S = 0.5  # and is if it changes within this
_SHOWN = 20  # doubtful cells told of each file
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", "~")

logger = logging.getLogger(__name__)


class Options(base.Options):
    """Keys of ``kind = "file"``."""

    path: str = Field(min_length=1, description='文件或通配符，相对于配置文件所在的目录，如 "exports/*.xlsx"')
    map: str | dict[str, str] = Field(
        default="auto",
        description='列的对应："auto" 按表头猜，或平台的名字（tmall、jd、…），或 { 字段 = "列名" }',
    )

    @field_validator("map")
    @classmethod
    def _known(cls, told: str | dict[str, str]) -> str | dict[str, str]:
        try:
            check_map(told)
        except SourceError as error:
            raise ValueError(str(error)) from error
        return told


class FileConnector(Connector[Options]):
    """Reviews from exports; a file that has not changed is not read again, one still being written waits."""

    Options = Options
    title = "导出的表格（CSV、XLSX）：商家后台"
    piecewise = True

    def start(self) -> Iterator[Output]:
        """Items of every file that is new or has changed."""
        paths = self._paths()
        if not paths:
            yield SourceError(f"没有文件符合 path = {self.options.path!r}（目录 {self.source.base_dir}）")
        growing = _growing(paths)
        for path in paths:
            try:
                yield from self._left(path) if path in growing else self._file(path)
            except OSError as error:
                yield self._unread(path, f"读不了 {path.name}：{error.strerror or error}")

    def _paths(self) -> list[Path]:
        path = self.source.base_dir / self.options.path
        if not has_magic(self.options.path):
            return [path] if path.is_file() else []
        found = (
            self.source.base_dir / name
            for name in glob(self.options.path, root_dir=self.source.base_dir, recursive=True)  # noqa: PTH207 — Path.glob refuses absolute ones
        )
        kept = sorted(
            one
            for one in found
            if one.is_file() and not one.name.startswith(("~$", ".")) and not one.name.endswith(_UNFINISHED)
        )
        if len(kept) > _MOST:
            logger.warning("%s: %d files, only the newest %d are looked at", self.options.path, len(kept), _MOST)
            kept = sorted(sorted(kept, key=_age)[:_MOST])
        return kept

    def _left(self, path: Path) -> Iterator[Output]:
        """A file that is still being written: the next run reads it."""
        logger.info("%s is still being written", path)
        if (known := self.source.watermark.get(str(path))) is not None:
            self.watermark[str(path)] = known
        yield Visited(str(path), unchanged=True)

    def _unread(self, path: Path, said: str) -> AttentionError:
        """A file that the system does not let us read may be as it was: each run tries again, people are told once."""
        known = self.source.watermark.get(str(path), {})
        self.watermark[str(path)] = {**known, "unread": said}
        return AttentionError(said, known=known.get("unread") == said)

    def _file(self, path: Path) -> Iterator[Output]:
        """Its rows if it is new or has changed; one that is broken is told of, and read again when it has changed."""
        name, before = str(path), path.stat()
        known: dict[str, Any] = self.source.watermark.get(name, {})
        same = _mark(before).items() <= known.items()
        digest = known["sha256"] if same else _sha256(path)
        unchanged = digest == known.get("sha256")
        broken = known.get("broken", "") if unchanged else ""
        if not unchanged:
            try:
                yield from self._rows(path)
            except SourceError as error:
                if isinstance(error.__cause__, OSError):
                    raise error.__cause__ from None
                broken = str(error)
        if broken:
            yield AttentionError(broken, known=unchanged)
        if _mark(path.stat()) == _mark(before):  # else it was written to meanwhile, and is new next time
            self.watermark[name] = {**_mark(before), "sha256": digest} | ({"broken": broken} if broken else {})
        yield Visited(name, unchanged=unchanged)

    def _rows(self, path: Path) -> Iterator[Output]:
        doubts = 0
        for row in read_file(path, self.options.map, self.source.zone, self.source.now):
            if isinstance(row, Header):
                logger.info("%s: columns %s", row.where, row.columns)
            elif isinstance(row, Fault) and row.kept:
                doubts += 1
                if doubts <= _SHOWN:
                    logger.warning("%s: %s: not understood, stored without it", row.where, row.column)
            else:
                yield row
        if doubts > _SHOWN:
            logger.warning("%s: %d more cells not understood", path.name, doubts - _SHOWN)


def _growing(paths: list[Path]) -> set[Path]:
    """Files that change while one looks."""
    young = {path: _seen(path) for path in paths if 0 <= _age(path) < _FRESH_S}
    if young:
        time.sleep(_PAUSE_S)
    return {path for path, seen in young.items() if _seen(path) != seen}


def _age(path: Path) -> float:
    """Seconds since it was written, by the machine's clock, which the file system goes by; endless for one gone."""
    return time.time() - _seen(path).get("mtime", 0) / 1e9


def _seen(path: Path) -> dict[str, int]:
    """Size and time; nothing for a file that has gone: reading it will tell."""
    try:
        return _mark(path.stat())
    except OSError:
        return {}


def _mark(stat: stat_result) -> dict[str, int]:
    return {"size": stat.st_size, "mtime": stat.st_mtime_ns}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

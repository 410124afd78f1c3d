"""``kind = "file"``: CSV and XLSX exports that land in a folder."""

import hashlib
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from crawler.bases import base
from crawler.bases.base import Connector, Output, SourceError, Visited
from crawler.bases.columns import check_map
from crawler.bases.files import read_file


class Options(base.Options):
    """Keys of ``kind = "file"``."""

    path: str = Field(min_length=1, description='文件或通配符，相对于配置文件所在的目录，如 "exports/*.xlsx"')
    map: str | dict[str, str] = Field(
        default="auto", description='列的对应："auto" 按表头猜，或表名，或 { 字段 = "列名" }'
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
    """Reviews from exports; a file that has not changed is not read again."""

    Options = Options

    def start(self) -> Iterator[Output]:
        """Items of every file that is new or has changed."""
        paths = self._paths()
        if not paths:
            yield SourceError(f"没有文件符合 path = {self.options.path!r}（目录 {self.source.base_dir}）")
        for path in paths:
            try:
                yield from self._file(path)
            except (SourceError, OSError) as error:
                yield SourceError(str(error) if isinstance(error, SourceError) else f"读不了 {path.name}：{error}")

    def _paths(self) -> list[Path]:
        path = self.source.base_dir / self.options.path
        if not has_magic(self.options.path):
            return [path] if path.is_file() else []
        found = (
            self.source.base_dir / name
            for name in glob(self.options.path, root_dir=self.source.base_dir, recursive=True)  # noqa: PTH207 — Path.glob refuses absolute ones
        )
        return sorted(one for one in found if one.is_file() and not one.name.startswith(("~$", ".")))

    def _file(self, path: Path) -> Iterator[Output]:
        name, stat = str(path), path.stat()
        mark = {"size": stat.st_size, "mtime": stat.st_mtime_ns}
        known: dict[str, Any] = self.source.watermark.get(name, {})
        same = mark.items() <= known.items()
        digest = known["sha256"] if same else _sha256(path)
        self.watermark[name] = {**mark, "sha256": digest}
        unchanged = digest == known.get("sha256")
        if not unchanged:
            yield from read_file(path, self.options.map, self.source.zone, self.source.now)
        yield Visited(name, unchanged=unchanged)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What ``pingshao init`` writes: a commented config and a sample export."""

import shutil
from pathlib import Path

_FILES = ("pingshao.toml", "exports/sample.csv")


class AlreadyThere(Exception):
    """A file to be written exists; nothing was written."""


def write(folder: Path) -> list[Path]:
    """Write the starter files.

    Raises:
        AlreadyThere: one of them exists.
    """
    targets = [folder / name for name in _FILES]
    for target in targets:
        if target.exists():
            raise AlreadyThere(f"{target} 已经存在，不会覆盖；换一个目录，或先把它移走")
    for name, target in zip(_FILES, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(__file__).parent / name, target)
    return targets

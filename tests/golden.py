"""Golden files: what was said once is said again, to the letter, or updated on purpose with ``--update-golden``."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("golden")


def check(request: pytest.FixtureRequest, name: str, said: str) -> None:
    """Compare with the golden file of that name; write it anew when asked to."""
    file = FOLDER / name
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(said, encoding="utf-8")
    assert file.exists(), f"{file} is missing: run pytest --update-golden and read what it wrote"
    assert said == file.read_text(encoding="utf-8")

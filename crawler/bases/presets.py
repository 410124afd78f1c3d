"""Ready keys for software that many sites run: ``preset = "discuz"`` beside a source's own keys, which win.

A preset is a file in ``crawler/presets``: one table for each kind it serves, with that kind's keys.
"""

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "presets"


def names(kind: str) -> list[str]:
    """Presets of a kind, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.toml") if kind in _read(file))


def with_preset(kind: str, given: Any) -> Any:
    """The keys given over those of the preset they name; tables are merged key by key.

    Raises:
        ValueError: This kind has no such preset; the message names those there are.
    """
    name = given.get("preset") if isinstance(given, dict) else ""
    if not name:
        return given
    if name not in (known := names(kind)):
        raise ValueError(f"preset 没有 {name!r}；kind = {kind!r} 可用的有 {'、'.join(known)}")
    return _over(_read(FOLDER / f"{name}.toml")[kind], given)


def _over(preset: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged = {**preset, **given}
    for key in preset.keys() & given.keys():
        if isinstance(preset[key], dict) and isinstance(given[key], dict):
            merged[key] = {**preset[key], **given[key]}
    return merged


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))

"""What is known of texts that must not stand in a repository: labels by the text's hash."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NO_COMPLAINT, OFF_TOPIC = "-", "x"


Labels = Mapping[str, Mapping[str, Any]]
"""By `text_hash`, what a reader said: keys ``kind, relevant, negative, categories, severity, flags`` of a row."""


def text_hash(folded: str) -> str:
    """What a folded text is called where the text itself must not stand."""
    return hashlib.sha1(folded.encode(), usedforsecurity=False).hexdigest()[:16]


def read_labels(file: Path) -> Labels:
    """Reads lines of hash, kind, categories, severity and flags between tabs.

    For categories stands ``-`` where there is no complaint, and ``x`` where a mention is about no shop at all.
    """
    rows = (line.split("\t") for line in file.read_text("utf-8").splitlines())
    return {row[0]: _label(*row[1:]) for row in rows}


def _label(kind: str, categories: str, severity: str, flags: str) -> dict[str, Any]:
    harmless = categories in {NO_COMPLAINT, OFF_TOPIC}
    return {
        "kind": kind,
        "relevant": categories != OFF_TOPIC,
        "negative": not harmless,
        "categories": [] if harmless else categories.split(","),
        "severity": severity or None,
        "flags": flags.split(",") if flags else [],
    }

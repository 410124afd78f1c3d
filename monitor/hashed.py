"""What is known of texts that must not stand in a repository: labels by the text's hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NO_COMPLAINT, OFF_TOPIC = "-", "x"


@dataclass(frozen=True, slots=True)
class Hashed:
    """Labels by `text_hash`.

    Attributes:
        labels: What a reader said: keys ``kind, relevant, negative, categories, severity, flags`` of a row.
        second: A second opinion: probability of being negative.
    """

    labels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    second: Mapping[str, float] = field(default_factory=dict)


def text_hash(folded: str) -> str:
    """What a folded text is called where the text itself must not stand."""
    return hashlib.sha1(folded.encode(), usedforsecurity=False).hexdigest()[:16]


def read_hashed(labels: Path, second: Path) -> Hashed:
    """Reads both files, lines of values between tabs.

    Args:
        labels: Hash, kind, categories, severity, flags. For categories stands ``-`` where there is no complaint, and
            ``x`` where a mention is about no shop at all.
        second: Hash, probability.
    """
    rows = (line.split("\t") for line in labels.read_text("utf-8").splitlines())
    doubts = (line.split("\t") for line in second.read_text("utf-8").splitlines())
    return Hashed({row[0]: _label(*row[1:]) for row in rows}, {name: float(p) for name, p in doubts})


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

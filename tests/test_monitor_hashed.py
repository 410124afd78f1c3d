"""Labels by the hash of their text."""

import re
from pathlib import Path

from monitor.categories import SEVERITIES
from monitor.coding import CATEGORIES, FLAGS
from monitor.hashed import read_labels, text_hash
from monitor.train import read_rows

FOLDER = Path(__file__).parents[1] / "benchmarks"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    """A complaint, praise and a post about nothing of ours."""
    labels = write(
        tmp_path / "labels.tsv",
        "a\treview\tquality,price\thigh\tchurn,fraud",
        "b\treview\t-\t\t",
        "c\tmention\tx\t\t",
    )
    known = read_labels(labels)
    assert known["a"] == {
        "kind": "review",
        "relevant": True,
        "negative": True,
        "categories": ["quality", "price"],
        "severity": "high",
        "flags": ["churn", "fraud"],
    }
    assert known["b"] | {"negative": False, "categories": [], "severity": None} == known["b"]
    assert (known["c"]["kind"], known["c"]["relevant"]) == ("mention", False)


def test_a_reader_adds_codes_and_leaves_the_rows_own_polarity(tmp_path: Path) -> None:
    """A corpus's label stays; a row without one is as the reader says; one nobody labelled is told of."""
    said = {"negative": True, "categories": ["damage"], "severity": "medium", "flags": [], "kind": "review"}
    known = {text_hash("盒子压扁了"): said, text_hash("碎了"): said}
    told: list[str] = []
    rows = [("1", {"text": "盒子压扁了", "label": 1}), ("2", {"text": "碎了", "label": -1}), ("3", {"text": "嗯"})]
    flat, broken = read_rows([], told.append, rows, known)
    assert (flat.negative, flat.codes) == (False, {"damage", "severity>=medium"})
    assert (broken.negative, broken.codes) == (True, {"damage", "severity>=medium"})
    assert [line.split(":")[0] for line in told] == ["3"]


def test_the_files_of_the_repository_hold_hashes_and_known_codes() -> None:
    """No text, no unknown code: what the built-in weights learned from can be checked and used again."""
    known = read_labels(FOLDER / "labels.tsv")
    assert len(known) > 29_000
    assert {len(name) for name in known} == {16}
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in known)
    assert {code for label in known.values() for code in label["categories"]} <= set(CATEGORIES)
    assert {code for label in known.values() for code in label["flags"]} <= set(FLAGS)
    assert {label["severity"] for label in known.values()} == {*SEVERITIES, None}

"""Makes the built-in weights from the corpora and what readers said of their texts.

    python benchmarks/builtin.py --data DIR --labels FILE [--out monitor/weights/builtin.npz]

DIR holds the corpora that the model card names, as `<name>.jsonl.gz` of `text` and `label`; FILE holds rows with
`categories`, `severity` and `flags`. What readers said of the corpora's texts stands beside this file, as hashes and
labels. Takes about a quarter of an hour.
"""

import argparse
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.hashed import read_labels
from monitor.train import Labelled, train

HERE = Path(__file__).parent
REVIEWS = ("os10", "waimai", "jd_laptop", "eprstmt_unlabeled")
POSTS = ("weibo2018", "smp2020")
TOKENS = re.compile(r"\[[^\[\]]{1,8}\]")  # the emoticons that the labels of weibo100k follow
TRUST = 0.2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("monitor/weights/builtin.npz"))
    options = parser.parse_args()
    files = [options.labels, *(options.data / f"{name}.jsonl.gz" for name in REVIEWS)]
    known = read_labels(HERE / "labels.tsv")
    told = [row for name in POSTS for row in posts(options.data / f"{name}.jsonl.gz")]
    told += [(where, by_emoticon(row)) for where, row in posts(options.data / "weibo100k.jsonl.gz")]
    print(json.dumps(train(files, options.out, ignore, told, known), indent=1))
    return 0


def ignore(_: str) -> None:
    """Rows that nobody labelled teach nothing."""


def posts(path: Path) -> Iterator[Labelled]:
    """Rows of a corpus of posts."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield f"{path}:{number}", json.loads(line) | {"kind": "mention"}


def by_emoticon(row: dict[str, Any]) -> dict[str, Any]:
    """A post whose label follows its emoticons: without these, and little trusted."""
    return row | {"text": TOKENS.sub("", row["text"]), "weight": TRUST}


if __name__ == "__main__":
    raise SystemExit(main())

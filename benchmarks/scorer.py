"""The scorer beside SnowNLP and a plain tf-idf model, on rows held out, in one run.

    python benchmarks/scorer.py --data DIR --labels FILE

DIR holds labelled corpora as `<name>.jsonl.gz` (`text`, `label` 1 positive, 0 negative); FILE holds rows with
`categories`, `severity` and `flags`. A row is held out by the hash of its folded text, as `pingshao train` does.
"""

import argparse
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from monitor.categories import SEVERITIES
from monitor.coding import CATEGORIES, FLAGS
from monitor.judge import Judge, Text
from monitor.train import Row, read_rows

SETS = ("os10", "waimai", "jd_laptop", "weibo2018", "smp2020")
SNOW_ROWS = 400  # of each set: it is slow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    judge = Judge(weights=options.weights)
    print(f"model {judge.model}")
    hard(judge)
    if options.data is None or not options.data.is_dir():
        print(f"polarity: not measured, no corpora folder at --data {options.data}")
    else:
        polarity(judge, options.data)
    if options.labels is None or not options.labels.is_file():
        print(f"categories: not measured, no labelled rows at --labels {options.labels}")
    else:
        categories(judge, [row for row in read_rows([options.labels], ignore) if row.held])
    return 0


def hard(judge: Judge) -> None:
    """Own sentences in hard language by kind; the first two figures ask for the right codes too."""
    cases = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "hard_language.py"))
    parts, snow = (cases["TUNED"], cases["HELD_BACK"]), snownlp()
    print(f"{'hard language':<16}{'tuned':>8}{'held back':>11}{'polarity alone':>16}{'SnowNLP':>9}")
    total: Counter[str] = Counter()
    for kind in parts[0]:
        count: Counter[str] = Counter()
        for name, part in zip(("tuned", "held"), parts, strict=True):
            source = "mention" if kind == "mention" else "review"
            verdicts = judge.judge_many([Text(case.text, source) for case in part[kind]])
            for case, verdict in zip(part[kind], verdicts, strict=True):
                said = {*verdict.categories, *verdict.flags}
                right = verdict.negative == case.negative
                coded = (not case.code or case.code in said) and not said & set(case.never)
                count.update({f"{name} rows": 1, name: right and coded, "ours": right})
                count.update({"snow": snow(case.text) == case.negative})
        show(kind, count)
        total.update(count)
    show("all", total)


def show(kind: str, count: Counter[str]) -> None:
    rows = count["tuned rows"] + count["held rows"]
    tuned, held = (f"{count[part]}/{count[f'{part} rows']}" for part in ("tuned", "held"))
    print(f"{kind:<16}{tuned:>8}{held:>11}{count['ours'] / rows:>16.2f}{count['snow'] / rows:>9.2f}")


def ignore(_: str) -> None:
    """Rows without a label are not asked about."""


def polarity(judge: Judge, folder: Path) -> None:
    rows = {name: read_rows([path], ignore) for name in SETS if (path := folder / f"{name}.jsonl.gz").is_file()}
    plain = tfidf([row for found in rows.values() for row in found if not row.held])
    snow, snow_time = snownlp(), 0.0
    our_time = 0.0
    print(f"{'set':<12}{'held out':>9}{'ours':>8}{'tf-idf':>8}{'SnowNLP':>9} (on {SNOW_ROWS} rows; ours on the same)")
    for name, found in rows.items():
        held = [row for row in found if row.held]
        truth = np.array([row.negative for row in held])
        ours = negatives(judge, held)
        picked = np.linspace(0, len(held) - 1, min(SNOW_ROWS, len(held))).astype(int)
        some = [held[place] for place in picked]
        begun = time.process_time()
        theirs = np.array([snow(row.text) for row in some])
        snow_time += time.process_time() - begun
        begun = time.process_time()
        negatives(judge, some)
        our_time += time.process_time() - begun
        few = truth[picked]
        print(
            f"{name:<12}{len(held):>9}{(ours == truth).mean():>8.4f}{(plain(held) == truth).mean():>8.4f}"
            f"{(theirs == few).mean():>9.4f} ({(ours[picked] == few).mean():.4f})"
        )
    print(
        f"speed, same rows, processor time: SnowNLP polarity {snow_time:.2f} s, ours with categories {our_time:.3f} s"
    )
    print(f"ratio {snow_time / our_time:.0f}")


def negatives(judge: Judge, rows: Sequence[Row]) -> np.ndarray:
    return np.array([verdict.negative for verdict in judge.judge_many([Text(row.text) for row in rows])])


def snownlp() -> Callable[[str], bool]:
    from snownlp import SnowNLP

    SnowNLP("热身").sentiments  # noqa: B018 — loads its tables, not to be timed
    return lambda text: bool(text.strip()) and SnowNLP(text).sentiments < 0.5


def tfidf(rows: Sequence[Row]) -> Callable[[Sequence[Row]], np.ndarray]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    print(f"fitting plain tf-idf, characters 1–4, on {len(rows)} rows …", file=sys.stderr)
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=3, sublinear_tf=True, dtype=np.float32)
    table = vectors.fit_transform([row.text for row in rows])
    model = LogisticRegression(C=10, max_iter=300).fit(table, [row.negative for row in rows])
    return lambda asked: model.predict(vectors.transform([row.text for row in asked]))


def categories(judge: Judge, rows: Sequence[Row]) -> None:
    verdicts = judge.judge_many([Text(row.text) for row in rows])
    counts: Counter[tuple[str, str]] = Counter()
    for row, verdict in zip(rows, verdicts, strict=True):
        truth, said = set(row.codes or ()), {*verdict.categories, *verdict.flags}
        counts.update((code, "right") for code in truth & said)
        counts.update((code, "missed") for code in truth - said)
        counts.update((code, "wrong") for code in said - truth)
    print(f"\ncodes, {len(rows)} rows held out, {sum(row.negative for row in rows)} negative")
    print(f"{'code':<16}{'rows':>6}{'precision':>11}{'recall':>8}{'F1':>7}")
    shown = [(code, *scores(counts, [code])) for code in (*CATEGORIES, *FLAGS)]
    for code, held, precision, recall, f1 in shown:
        print(f"{code:<16}{held:>6}{precision:>11.3f}{recall:>8.3f}{f1:>7.3f}")
    _, precision, recall, f1 = scores(counts, CATEGORIES)
    common = [f1 for code, held, _, _, f1 in shown if code in CATEGORIES and held >= 20]
    print(f"categories micro: precision {precision:.3f} recall {recall:.3f} F1 {f1:.3f}")
    print(f"categories macro F1 over those with at least 20 rows: {np.mean(common):.3f}")
    both = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if row.negative and verdict.negative]
    steps = [
        abs(SEVERITIES.index(row.severity or "low") - SEVERITIES.index(verdict.severity or "low"))
        for row, verdict in both
    ]
    print(f"severity equal {np.mean(np.equal(steps, 0)):.3f}, within one step {np.mean(np.less(steps, 2)):.3f}")


def scores(counts: Counter[tuple[str, str]], codes: Sequence[str]) -> tuple[int, float, float, float]:
    right, missed, wrong = (sum(counts[code, what] for code in codes) for what in ("right", "missed", "wrong"))
    precision, recall = right / max(right + wrong, 1), right / max(right + missed, 1)
    return right + missed, precision, recall, 2 * right / max(2 * right + missed + wrong, 1)


if __name__ == "__main__":
    raise SystemExit(main())

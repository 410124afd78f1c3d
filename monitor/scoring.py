"""The `score` command: JSON lines in, JSON lines out, in the same order."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import IO, Any

from monitor.engines import Engine, columns
from monitor.judge import Judgement, Text

_BATCH = 256
_KINDS = ("review", "mention")
_MOST_STARS = 5


class Scorer:
    """Scores JSON lines.

    Attributes:
        bad: Lines so far that were no feedback.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.bad = 0

    def score_lines(self, lines: Iterable[str]) -> Iterator[str]:
        """One JSON line out for each line in; a bad one gives `{"error", "line"}` in its place."""
        numbered = enumerate(lines, 1)
        while batch := list(islice(numbered, _BATCH)):
            parsed = [_parse(line) for _, line in batch]
            verdicts = iter(self._engine.judge_many([part[0] for part in parsed if not isinstance(part, str)]))
            for (number, _), part in zip(batch, parsed, strict=True):
                if isinstance(part, str):
                    self.bad += 1
                    yield _dump({"error": part, "line": number})
                else:
                    yield _dump(_answer(part[1], part[0], next(verdicts)))


def run(stdin: Iterable[str], stdout: IO[str], engine: Engine) -> int:
    """Scores a stream.

    Returns:
        Exit status: 0, or 1 if any line was bad.
    """
    scorer = Scorer(engine)
    with suppress(BrokenPipeError):  # the reader has seen enough
        for line in scorer.score_lines(stdin):
            stdout.write(line + "\n")
        stdout.flush()
    return 1 if scorer.bad else 0


def _parse(line: str) -> tuple[Text, dict[str, Any]] | str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    if not isinstance(row, dict):
        return 'expected an object like {"text": "…"}'
    text, kind, stars = row.get("text"), row.get("kind", "review"), row.get("stars")
    if not isinstance(text, str):
        return "text: expected a string"
    if kind is not None and kind not in _KINDS:
        return f"kind: expected one of {', '.join(_KINDS)}"
    if stars is not None and not _is_star(stars):
        return "stars: expected a number from 1 to 5"
    return Text(text, kind or "review", stars), row


def _is_star(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= _MOST_STARS


def _answer(row: Mapping[str, Any], text: Text, verdict: Judgement) -> dict[str, Any]:
    about = {"relevant": verdict.relevant} if text.kind == "mention" else {}
    return {"id": row.get("id"), **columns(verdict), **about}


def _dump(answer: dict[str, Any]) -> str:
    line = json.dumps(answer, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # a lone surrogate in the text or id cannot be written as UTF-8
        return json.dumps(answer)
    return line

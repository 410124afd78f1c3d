"""A judge without a model: what says 差 or 漏 complains; for tests that are not about judging."""

from collections.abc import Sequence

from monitor.judge import Judgement, Text


class Blunt:
    """Stands in for ``core.judge``."""

    def judge_many(self, texts: Sequence[Text]) -> list[Judgement]:
        return [_judged(any(letter in text.text for letter in "差漏")) for text in texts]


def _judged(bad: bool) -> Judgement:
    codes, severity = (("quality",), "medium") if bad else ((), None)
    return Judgement(bad, 0.9 if bad else 0.1, codes, severity, (), (), "blunt")

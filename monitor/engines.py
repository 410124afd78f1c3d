"""Scoring engines: one protocol, and one way to make the one that the config names."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol, get_args

from monitor.errors import WrongCall
from monitor.judge import Judge, Judgement, Text
from monitor.settings import Scoring

if TYPE_CHECKING:  # it brings the database, which `pingshao score` does without
    from monitor.quota import Budget

ENGINES: tuple[str, ...] = get_args(Scoring.model_fields["engine"].annotation)
"""Names of all engines."""


class Engine(Protocol):
    """What judges texts.

    Attributes:
        model: Engine and version.
        models: All that a verdict's ``model`` may name: itself, and who decides in its place.
    """

    model: str
    models: tuple[str, ...]

    def judge_many(self, texts: Sequence[Text]) -> list[Judgement]:
        """Judges texts in their order."""
        ...


def make(scoring: Scoring, budget: "Budget | None" = None) -> Engine:
    """The engine that the settings name.

    Args:
        scoring: The settings.
        budget: What may be spent; only ``llm`` needs one.

    Raises:
        WrongCall: ``llm`` is named without an endpoint, or the weights file cannot be used.
    """
    if scoring.engine != "llm":
        return Judge(scoring.engine, scoring.weights)
    if scoring.llm is None or budget is None:
        raise WrongCall("scoring.llm: 引擎 llm 要有 [scoring.llm]，写上 base_url 和 model")
    from monitor.llm import Llm

    return Llm(scoring.llm, Judge("builtin", scoring.weights), budget)


def columns(judgement: Judgement) -> dict[str, Any]:
    """A judgement as ``pingshao score`` has it, and the store: see `filed`."""
    return {
        "negative": judgement.negative,
        "p_negative": judgement.p_negative,
        "categories": list(judgement.categories),
        "severity": judgement.severity,
        "flags": list(judgement.flags),
        "evidence": [asdict(place) for place in judgement.evidence],
        "model": judgement.model,
    }


def filed(judgement: Judgement) -> dict[str, Any]:
    """A judgement as the store has it: anger about something else is no complaint of ours."""
    return columns(replace(judgement, negative=bool(judgement.categories)))

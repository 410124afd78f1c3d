"""Taking words and names out of feedback so that everything that is counted stays as it was.

Rows, their places, stars, products and verdicts stay: figures rest on them. Gone are title, text, earlier versions,
author, order, address and the words that were quoted as reasons. Different authors stay different: each gets a name
made with a key that nobody keeps.
"""

import hashlib
import hmac
import json
from collections.abc import Collection, Sequence
from typing import Any, Literal

from sqlalchemy import bindparam, delete, update
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from monitor import search
from monitor.bulk import table
from monitor.models import AnswerFinding, Case, Feedback, FeedbackVersion, ReportCopy, Score

Why = Literal["aged", "erased"]
GONE = "（已清除）"
_COUNTED = ("sku", "warehouse", "courier")  # of extra: what reports count by
_TURNED = ("author_hash", "reply", "extra", "version", "cleared")
_BARE: dict[str, Any] = {"title": "", "text": "", "author": "", "order_ref": "", "url": "", "text_key": ""}


def clear(session: Session, ids: Sequence[int], why: Why, key: bytes) -> None:
    """Clear feedbacks; whoever read one of them before cannot write it back.

    Args:
        session: The caller's transaction.
        ids: Which; a thousand at most.
        why: ``erased`` takes the shop's answer and further facts too, and intake never fills it again.
        key: Makes the authors' new names; to be forgotten afterwards.
    """
    if not ids:
        return
    search.drop(session, ids)
    target = table(Feedback)
    wanted: Any = [target.c[name] for name in ("id", "title", "text", *_TURNED) if name != "cleared"]
    rows = session.execute(sql_select(*wanted).where(target.c.id.in_(ids)).with_for_update()).all()
    values = _BARE | {name: bindparam(f"new_{name}") for name in _TURNED}
    if why == "erased":
        values["content_hash"] = ""
    turned = [{"row_id": row.id} | _kept(row, why, key) for row in rows]
    session.execute(update(target).where(target.c.id == bindparam("row_id")).values(values), turned)
    session.execute(delete(FeedbackVersion).where(col(FeedbackVersion.feedback_id).in_(ids)))
    session.execute(update(Score).where(col(Score.feedback_id).in_(ids)).values(evidence=[]))
    owned = select(Feedback.case_id).where(col(Feedback.id).in_(ids))
    session.execute(update(Case).where(col(Case.id).in_(owned), col(Case.join_key) != "").values(join_key=""))
    answers = update(AnswerFinding).where(col(AnswerFinding.feedback_id).in_(ids))
    session.execute(answers.values(words="", answer=""))
    search.add(session, ids)


def _kept(row: Any, why: Why, key: bytes) -> dict[str, Any]:
    name = hmac.digest(key, row.author_hash.encode(), hashlib.sha256).hex()[:32] if row.author_hash else ""
    reply, extra = row.reply, row.extra
    if why == "erased":
        reply = GONE if reply else ""  # that there was an answer is counted
        extra = {fact: extra[fact] for fact in _COUNTED if fact in extra}
    cleared = why if why == "erased" or row.text or row.title else ""  # what had no words lost none
    kept = (name, reply, extra, row.version + 1, cleared)
    return {f"new_{column}": value for column, value in zip(_TURNED, kept, strict=True)}


def unquote(report: ReportCopy, ids: Collection[int] | None = None) -> bool:
    """Take the quotes of these feedbacks, or all, out of a report that was sent; gives whether there were any."""
    figures = json.loads(report.figures)
    found = _unquote(figures, ids)
    if found:
        report.figures = json.dumps(figures, ensure_ascii=False)
    return found


def _unquote(part: Any, ids: Collection[int] | None) -> bool:
    found = False
    if isinstance(part, dict):
        quoted = part.get("feedback_id")
        if isinstance(part.get("text"), str) and isinstance(quoted, int) and part["text"] != GONE:
            found = ids is None or quoted in ids
            if found:
                part["text"] = GONE
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        found |= _unquote(inner, ids)
    return found

"""The card of a change of duty: who hands what to whom, and what is due next."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from alerts import cards
from alerts.cards import Reader
from alerts.content import Card, Line, Span, bold, line, link
from monitor import queries
from monitor.models import Outbox


def handover_card(session: Session, row: Outbox, reader: Reader) -> Card:
    """What was handed over, the most urgent first; the payload is that of the notice."""
    facts = row.payload
    total = sum(count for *_, count in facts["pairs"])
    told = "；".join(f"{giver or '没人负责的'} → {taker} {count} 件" for giver, taker, count in facts["pairs"])
    parts: list[str | Span] = []
    for n, one in enumerate(facts["rows"], 1):
        parts += [f"\n{n}. " if parts else f"{n}. ", *_line(session, one, reader)]
    lines: list[Line] = [line(bold(told)), line(*parts)]
    if total > len(facts["rows"]):
        lines.append(line(f"另有 {total - len(facts['rows'])} 件，时限更晚", role="small"))
    return Card(f"【交班】{reader.shop_name(facts.get('shop'))} · {total} 件", tuple(lines))


def _line(session: Session, one: Mapping[str, Any], reader: Reader) -> list[str | Span]:
    """A case or crisis in one line, with the way to its page."""
    due = f"，{reader.moment(datetime.fromisoformat(one['due_at']))} 前" if "due_at" in one else ""
    page = link("看详情", reader.links.view(one["subject"], one["id"]))
    return [f"{_name(session, one, reader)}{due} · {one['to']} ", page]


def _name(session: Session, one: Mapping[str, Any], reader: Reader) -> str:
    if one["subject"] == "crisis":
        crisis = queries.crisis_view(session, one["id"], limit=0, events=0)
        return f"危机 {cards.crisis_name(crisis, reader)}" if crisis else f"危机 #{one['id']}"
    case = queries.case_view(session, one["id"], limit=0, events=0)
    return cards.case_name(case, reader) if case else f"工单 #{one['id']}"

"""What is said when a shop indicator became bad."""

from datetime import date

from alerts.cards import Reader
from alerts.content import Card, bold, line
from monitor.indicators import KINDS, shown
from monitor.models import Outbox


def indicator_card(row: Outbox, reader: Reader) -> Card:
    """An indicator on the wrong side of its limit, or of the industry's value."""
    facts = row.payload
    name, day = facts["name"], date.fromisoformat(facts["day"])
    limit = facts["limit"]
    against = f"{'界限' if limit is not None else '行业'} {shown(name, facts['industry'] if limit is None else limit)}"
    side = "高于" if KINDS[name].better == "down" else "低于"
    said = line(f"{day.month}月{day.day}日：", bold(shown(name, facts["value"])), f"，{side}{against}。")
    note = line("变好又变坏才会再提醒；走势在周报里。", role="small")
    return Card(f"【指标变差】{reader.shop_name(facts.get('shop'))} · {KINDS[name].label}", (said, note))

"""What the engineer is told of the monitor itself."""

from datetime import datetime

from alerts.cards import Reader
from alerts.content import Card, bold, line
from monitor.models import Outbox


def upkeep_card(row: Outbox, reader: Reader) -> Card:
    """Trouble that the monitor found when it looked at itself, or its end."""
    facts = row.payload
    at = f"（{facts['host']}）" if facts["host"] else ""
    since = line(f"从{reader.moment(datetime.fromisoformat(facts['since']))} 开始。", role="small")
    if row.kind == "upkeep.recovered":
        lasted = line(f"持续了 {facts['lasted']}。", role="small")
        return Card(f"【评哨恢复正常】{at}{facts['says']}", (line(bold("已经好了。")), lasted))
    return Card(f"【评哨自身有问题】{at}{facts['says']}", (line(f"{facts['todo']}。"), since))

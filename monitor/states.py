"""The states of cases and crises, which of them are open, and their Chinese names."""

CASE_OPEN = ("received", "assigned", "contacted", "answered")
CRISIS_OPEN = ("open", "acknowledged", "customer_notified")

STATE_LABELS = {
    "received": "待认领",
    "assigned": "已认领",
    "contacted": "已联系",
    "answered": "已回复",
    "open": "待响应",
    "acknowledged": "已响应",
    "customer_notified": "已告知客户",
    "resolved": "已解决",
    "closed": "已归档",
    "false_alarm": "误报",
    "merged": "已合并",
}

SEVERITIES = ("low", "medium", "high", "critical")


def worst(*severities: str | None) -> str:
    """The most severe of several; low when there is none."""
    return max((s for s in severities if s), key=SEVERITIES.index, default="low")

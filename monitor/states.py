"""The states of cases and crises, which of them are open, and the Chinese names of codes that every room shows."""

CASE_OPEN = ("received", "assigned", "contacted", "answered", "suspected")
CRISIS_OPEN = ("open", "acknowledged", "customer_notified")

STATE_LABELS = {
    "received": "待认领",
    "assigned": "已认领",
    "contacted": "已联系",
    "answered": "已回复",
    "suspected": "疑似恶意",
    "open": "待响应",
    "acknowledged": "已响应",
    "customer_notified": "已告知客户",
    "resolved": "已解决",
    "closed": "已归档",
    "false_alarm": "误报",
    "merged": "已合并",
}

SEVERITIES = ("low", "medium", "high", "critical")


SEVERITY_LABELS = {"low": "轻微", "medium": "一般", "high": "严重", "critical": "危急"}

STAGES = {"review": ("respond", "notice", "follow_up"), "mention": ("respond", "apology", "statement")}
"""The stages of a crisis by its kind, in order."""

STAGE_LABELS = {
    "crisis": {
        "respond": "内部响应",
        "notice": "告知客户",
        "follow_up": "跟进",
        "apology": "私下致歉",
        "statement": "公开声明",
    },
    "case": {"respond": "首次回复", "solve": "解决"},
}

TARGET_LABELS = {
    "satisfied": "满意率",
    "soon": "30 分钟响应率",
    "clearance": "日清率",
    "once": "一次解决率",
    "followups": "追评率",
    "complaints": "投诉率",
}
"""By fields of `monitor.policies.TargetPolicy`."""

SOURCE_LABELS = {"new": "还没跑过", "ok": "正常", "failed": "失败", "attention": "要看一眼"}

UNSENT = ("pending", "sending", "uncertain", "dead")
"""States of messages that somebody may still have to see to."""

DELIVERY_LABELS = {
    "pending": "待发",
    "sending": "在发",
    "sent": "已发",
    "folded": "已并入别条",
    "uncertain": "待查证",
    "dead": "发不出",
}

PLATFORM_LABELS = {
    "tmall": "天猫",
    "taobao": "淘宝",
    "jd": "京东",
    "pdd": "拼多多",
    "suning": "苏宁",
    "douyin": "抖音",
    "kuaishou": "快手",
    "weibo": "微博",
    "xiaohongshu": "小红书",
    "bilibili": "B站",
    "zhihu": "知乎",
    "tieba": "贴吧",
    "heimao": "黑猫投诉",
}


def worst(*severities: str | None) -> str:
    """The most severe of several; low when there is none."""
    return max((s for s in severities if s), key=SEVERITIES.index, default="low")

"""What ``doctor`` looks at: the store and the sources, then every channel, who is told, and the fonts."""

from collections.abc import Iterator
from functools import partial

from alerts.channel import Channel
from alerts.routing import silent_routes
from commands.app import App
from monitor import doctor
from monitor.doctor import Check, Finding
from monitor.settings import Settings
from reports import charts


def checks(app: App) -> Iterator[tuple[str, Check]]:
    """Everything worth looking at, in order."""
    yield from doctor.checks(app.core)
    for name, channel in app.channels.items():
        yield f"渠道 {name}", partial(_channel_finding, name, channel)
    yield "提醒", partial(_silence_finding, app.core.settings)
    yield "字体", lambda: Finding("字体", f"中文字体 {charts.font_name()}")


def _silence_finding(settings: Settings) -> Finding:
    silent = "、".join(silent_routes(settings))
    if not silent:
        return Finding("提醒", "危机、工单和报告都有人收")
    todo = "配置 [[channels]] 或 [smtp] 和 summaries.recipients，并在 [routes] 里写上它们的名字"
    return Finding("提醒", f"没有人收：{silent}；只能在状态页上看到", todo)


def _channel_finding(name: str, channel: Channel) -> Finding:
    todo = channel.check()
    return Finding(f"渠道 {name}", "发送可用" if not todo else "发不出去", todo or "")

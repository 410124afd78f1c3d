"""What is said when a machine's clock is wrong."""

from datetime import timedelta

from alerts.cards import Reader
from alerts.content import Card, bold, line
from monitor.models import Outbox

_MINUTE, _HOUR = 60, 3600


def clock_card(row: Outbox, reader: Reader) -> Card:
    """A clock that jumped, or differs from the database's."""
    facts = row.payload
    seconds, host = facts["seconds"], facts["host"]
    size = _size(timedelta(seconds=abs(seconds)))
    if facts["how"] == "skew":
        off = f"比数据库{'快' if seconds > 0 else '慢'} {size}"
        said = line("这台机器上的时限会", bold("提前到点" if seconds > 0 else "推迟到点"), "。")
        fix = line("请打开 NTP 对时，再运行 pingshao doctor 看是否一致。", role="small")
        return Card(f"【时钟不准】{host} {off}", (said, fix))
    if seconds > 0:
        said = line("没到点的时限可能已经提醒或记为超时，请", bold("核对刚才的超时提醒"), "。")
    else:
        said = line("倒退的这段时间里时限到点会晚提醒，请", bold("看一眼进行中的危机和差评"), "。")
    now = line(f"机器现在的时间：{reader.now.astimezone(reader.zone):%Y-%m-%d %H:%M}。已经提醒过的不会再提醒。")
    why = line("常见原因：自动对时、手工改时间、机器休眠。请检查 NTP。", role="small")
    return Card(f"【时钟跳变】{host} 的时间突然{'快进' if seconds > 0 else '倒退'}了 {size}", (said, now, why))


def _size(span: timedelta) -> str:
    """``8 秒``, ``5 分钟``, ``2 小时 30 分钟``."""
    seconds = round(span.total_seconds())
    if seconds < _MINUTE:
        return f"{seconds} 秒"
    hours, minutes = seconds // _HOUR, seconds % _HOUR // _MINUTE
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "小时"), (minutes, "分钟")) if n)

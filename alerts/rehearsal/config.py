"""The rehearsal's own config file: the simulated shop as sources, the sinks as channels."""

from importlib.resources import files
from pathlib import Path

CHANNEL = "C0123456"
TOKEN_ENV = "PINGSHAO_REHEARSAL_TOKEN"  # noqa: S105 — the name of a variable, not a secret
NAME = "pingshao.toml"
EXPORT = "exports/pdd.csv"
SITE, LIVE, NEW, PDD, FORUM = "商城评价", "直播间评论", "新品页", "专营店导出", "好物论坛"
PLACES = {SITE: "html", LIVE: "json", NEW: "schema", PDD: "file", FORUM: "forum"}  # of the story
NAMES = {CHANNEL: "运营预警", "U0001": "客服一号", "U0002": "主管", "U0003": "经理"}


def write_config(folder: Path, site: str, slack: str, smtp_host: str, smtp_port: int) -> Path:
    """Write the config of a rehearsal into its folder.

    Args:
        folder: Where everything of this rehearsal lies; exists.
        site: ``host:port`` of the simulated shop.
        slack: ``host:port`` of the Slack stand-in.
        smtp_host: Host of the mail sink.
        smtp_port: Its port.
    """
    template = files("alerts.rehearsal").joinpath("templates", NAME).read_text("utf-8")
    path = folder / NAME
    text = template.format(
        site=site,
        slack=slack,
        smtp_host=smtp_host,
        smtp_port=smtp_port,
        channel=CHANNEL,
        token_env=TOKEN_ENV,
        export=EXPORT,
    )
    path.write_text(text, encoding="utf-8")
    return path

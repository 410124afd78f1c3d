"""The config file's shape: every key, its default and what it means. ``monitor/config.py`` reads the file.

The descriptions feed ``docs/reference/settings.md``; a test compares the two.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from monitor import company_login
from monitor.durations import ClockTime, Duration, Monthly, Promotion, Rate, Weekly, spell_duration
from monitor.policies import Calendar, Policy, Rota
from monitor.section import Section
from monitor.terms import Retention
from monitor.upkeep import Upkeep

Role = company_login.Role


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"应为时区名，如 Asia/Shanghai，实为 {name!r}（或本机缺时区数据：pip install tzdata）"
        ) from None
    return name


def _cron(value: str | None) -> str | None:
    from apscheduler.triggers.cron import CronTrigger

    if value is not None:
        try:
            CronTrigger.from_crontab(value)
        except ValueError:
            raise ValueError(f'应为五段 cron，如 "0 8-22/2 * * *"，实为 {value!r}') from None
    return value


def _bearable(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(hours=1):
        raise ValueError(f"应在 1s 到 1h 之间，实为 {spell_duration(value)}")
    return value


Zone = Annotated[str, AfterValidator(_zone)]
Cron = Annotated[str | None, AfterValidator(_cron)]


class Service(Section):
    """Where the service keeps its things and what it calls itself."""

    timezone: Zone = "Asia/Shanghai"
    """Zone of the clocks people see; the database keeps UTC."""
    database_url: str = "sqlite:///var/pingshao.db"
    """SQLite file or ``postgresql+psycopg://…``."""
    queue: Literal["inside", "procrastinate"] = "inside"
    """Where crawls and other work that costs are done: inside ``serve``, or by ``pingshao worker`` processes on any
    machine (PostgreSQL, and the extra ``scale``)."""
    database_pool: int = Field(default=10, ge=2, le=100)
    """Most connections that a process has to PostgreSQL at a time; all processes together, crawls included (four of a
    process at a time, two connections each), have to stay below its ``max_connections``."""
    database_timeout: Annotated[Duration, AfterValidator(_bearable)] = Field(default="30s", validate_default=True)
    """A statement that PostgreSQL works on for longer is ended, and so is the wait for a lock or for one of those
    connections. Reports, exports, scoring anew, retention, backups and migrations take as long as they need."""
    var_dir: Path = Path("var")
    """Folder for run-time files: secrets, backups, reports, logs."""
    base_dir: Path = Path()
    """Folder that relative paths start from; the config file's own when absent."""
    public_url: str = "http://127.0.0.1:8000"
    """What signed links begin with."""
    secret_env: str = "PINGSHAO_SECRET"  # noqa: S105 — the name of a variable, not a secret
    """Environment variable with the signing secret; generated into ``var_dir`` when absent."""
    promotions: list[Promotion] = []
    """Promotions as ``2026-11-10..2026-11-12`` (both days included): then sources with ``promo_every`` use it."""
    allow_private_hosts: list[str] = []
    """Inner addresses (``host`` or ``host:port``) that sources may reach all the same."""

    @model_validator(mode="after")
    def _queue_needs_postgresql(self) -> "Service":
        if self.queue != "inside" and not self.database_url.startswith("postgresql"):
            raise ValueError('queue = "procrastinate" 要和 database_url = "postgresql+psycopg://…" 一起写')
        return self


class Voice(Section):
    """How a shop speaks in reply drafts; what is grave is said without 亲 whatever stands here."""

    greeting: Literal["", "您好", "亲"] = ""
    """What a draft begins with; nothing when empty."""
    name: str = Field(default="", max_length=20)
    """What the one who answers is called, such as 小评; then the draft says so."""
    signature: str = Field(default="", max_length=40)
    """What a draft ends with, such as ``——示例旗舰店``."""


class Replies(Section):
    """A category's own sentences for reply drafts, in place of the shipped ones; a step left empty keeps those."""

    empathy: list[str] = []
    """The first step; ``{product}`` and ``{shop}`` are filled in."""
    attribution: list[str] = []
    """The second step."""
    remedy: list[str] = []
    """The third step."""


class Shop(Section):
    """A shop whose reviews are watched."""

    id: str
    """Short name used in the store and on the command line."""
    name: str
    """Name that people see."""
    platform: str = ""
    """tmall, jd, pdd, douyin, …"""
    voice: Voice = Voice()
    """How it speaks."""


class Source(Section):
    """A source: the keys every kind has. All further keys belong to its connector (``kind``)."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True, frozen=True)

    name: str
    """Unique name of the source."""
    kind: str
    """The connector: html, feed, json, schema_org, file."""
    shop: str | None = None
    """The shop whose reviews these are."""
    brand: list[str] = []
    """For mentions instead of reviews: only texts that contain one of these words count."""
    brand_not: list[str] = []
    """Words that make it none: a longer one (小米粥) does not count as the brand's, any other leaves the text out."""
    every: Duration | None = None
    """Pause between two crawls; 10m when neither this nor ``cron`` is set."""
    cron: Cron = None
    """Crawl times as five-field cron, in the service's zone, instead of ``every``."""
    promo_every: Duration | None = None
    """Pause between two crawls on the days of ``service.promotions``; with ``cron``, beside its times."""
    delay: Duration = Field(default="1s", validate_default=True)
    """Pause between two requests."""
    obey_robots: bool = True
    """Whether robots.txt is obeyed."""
    time_limit: Duration = Field(default="15m", validate_default=True)
    """A crawl that takes longer is stopped and reported."""
    max_pages: int = Field(default=2000, ge=1)
    """A crawl asks for at most this many pages."""
    watch: bool = True
    """Whether far fewer items or emptier fields than this source's own norm are trouble."""
    as_questions: bool = False
    """Whether these are buyers' questions: each opens a case with the clock of questions, whatever its tone."""
    enabled: bool = True
    """Whether the source is crawled."""

    @model_validator(mode="after")
    def _one_owner(self) -> "Source":
        if self.shop is None and not self.brand:
            raise ValueError("应有 shop（店铺评价）或 brand（品牌提及）")
        if self.brand_not and not self.brand:
            raise ValueError("brand_not 要和 brand 一起写")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own keys, as written."""
        return dict(self.model_extra or {})


class Channel(Section):
    """A place that alerts go to."""

    name: str
    """Name used in routes."""
    kind: str
    """The channel's kind: slack, dingtalk, wecom, feishu, email, webhook, apprise."""
    target: str = ""
    """Channel id, chat id or mail address. Of a WeCom app: ``person|person``, ``party:2|3``, ``tag:1`` or ``chat:id``;
    of a DingTalk app: a group's openConversationId or ``user:id``."""
    token_env: str = ""
    """Environment variable with the access token; of a robot, the secret end of its address; of an app, its secret;
    of ``apprise``, the whole URL."""
    app_token_env: str = ""
    """Of ``slack``: environment variable with the app-level token (``xapp-``); then clicks come by Socket Mode, and no
    public address is needed."""
    app_id: str = ""
    """Of an app: its id (Feishu's app_id, DingTalk's AppKey, WeCom's AgentId); without one the channel is a robot."""
    corp_id: str = ""
    """Of a WeCom app: the company's id (企业 ID)."""
    card_template: str = ""
    """Of a DingTalk app: the id of its card template; without one its cards are messages with links."""
    signing_secret_env: str = ""
    """Environment variable with the secret of signatures: of clicks (Slack, Feishu's Encrypt Key, the Token of WeCom's
    callback, for DingTalk cards one of your own), or of our own posts (加签 of DingTalk and Feishu robots, webhook)."""
    aes_key_env: str = ""
    """Of a WeCom app: environment variable with the EncodingAESKey of its callback."""
    base_url: str = ""
    """Address of the provider's API; proxies, private clouds and tests stand in here."""
    rate: Rate | None = None
    """Most messages to one target in a time, such as ``20/1m``; the provider's published limit when absent."""


class Smtp(Section):
    """The mail server."""

    host: str = "127.0.0.1"
    """Host name."""
    port: int = Field(default=25, ge=1, le=65535)
    """Port."""
    sender: str = "评哨 <pingshao@localhost>"
    """From address."""
    security: Literal["none", "starttls", "tls"] = "none"
    """Transport security."""
    user: str = ""
    """Login name; empty for none."""
    password_env: str = ""
    """Environment variable with the password."""


class Person(Section):
    """Somebody who is told or who acts."""

    name: str
    """Name that people see."""
    role: Role = "agent"
    """agent, lead, manager, brand (looks, does nothing) or admin."""
    slack: str = ""
    """Slack user id."""
    dingtalk: str = ""
    """DingTalk user id."""
    wecom: str = ""
    """WeCom user id."""
    feishu: str = ""
    """Feishu open_id."""
    email: str = ""
    """Mail address."""
    shops: list[str] = []
    """Shops that are this person's; all when empty."""
    categories: list[str] = []
    """Complaint categories that are this person's, by code; all when empty."""
    tiers: list[str] = []
    """Customer tiers (a column ``tier`` of exports) that are this person's; all when empty."""
    most_open: int = Field(default=0, ge=0)
    """Automatic assignment gives no more open cases than this; 0 for no limit."""


class Routes(Section):
    """Which channels (by name; ``mail`` is the summaries' recipients) hear what."""

    crisis: list[str] = []
    """Crises."""
    case: list[str] = []
    """Cases."""
    summary: list[str] = ["mail"]
    """Summaries and reports."""
    system: list[str] = []
    """Trouble with the monitor itself: sources, dead letters; the crisis route when empty."""
    engineer: list[str] = []
    """What the monitor finds when it watches itself (``[upkeep]``): best a channel of its own; the system route when
    empty."""


class Summaries(Section):
    """When summaries and reports go out, and to whom."""

    daily: ClockTime = "10:00"
    """Morning check of yesterday's negative feedback."""
    evening: ClockTime = "18:00"
    """Evening summary of the day."""
    weekly: Weekly = "mon 09:00"
    """Weekly report."""
    monthly: Monthly = "1 09:00"
    """Monthly report."""
    recipients: list[str] = []
    """Mail addresses."""
    cc: list[str] = []
    """Mail addresses in copy of the evening summary, the weekly and the monthly report."""
    guest_links: bool = True
    """Whether readers who cannot log in at the desk get links that open the feedback behind a number without a login;
    false also shuts those that were sent."""
    guest_life: Duration = Field(default="14d", validate_default=True)
    """How long such a link opens."""


def _address(url: str) -> str:
    if not re.match(r"https?://[^/\s]", url):
        raise ValueError(f"应为网址，如 https://api.example.com/v1，实为 {url!r}")
    return url


def _doubt(span: list[float]) -> list[float]:
    if len(span) != 2 or not 0 <= span[0] <= span[1] <= 1:  # noqa: PLR2004 — a span has two ends
        raise ValueError(f"应为从小到大的两个概率，如 [0.3, 0.7]，实为 {span}")
    return span


class Llm(Section):
    """A chat endpoint that speaks OpenAI's ``/chat/completions`` with JSON schemas; asked by ``engine = "llm"``."""

    base_url: Annotated[str, AfterValidator(_address)]
    """What stands before ``/chat/completions``, such as ``https://api.example.com/v1``."""
    model: str
    """The endpoint's name of its model."""
    key_env: str = ""
    """Environment variable with the access key; empty where none is wanted."""
    ask: Literal["doubtful", "negative", "all"] = "doubtful"
    """Which texts it is asked about: the doubtful ones, those and all more negative, or all."""
    doubtful: Annotated[list[float], AfterValidator(_doubt)] = [0.3, 0.7]
    """The built-in's ``p_negative`` between which a text is doubtful."""
    daily_budget: int = Field(default=200, ge=0)
    """Requests a day, of all processes together; beyond it the built-in decides."""
    timeout: Duration = Field(default="20s", validate_default=True)
    """Time for one answer."""
    patience: Duration = Field(default="45s", validate_default=True)
    """Time for one batch; the built-in decides about texts that were not asked about by then."""
    concurrency: int = Field(default=4, ge=1, le=32)
    """Requests at the same time."""
    options: dict[str, Any] = {"temperature": 0}
    """Further keys of the request."""


class Scoring(Section):
    """Which engine judges the texts."""

    engine: Literal["builtin", "snownlp", "llm"] = "builtin"
    """builtin, snownlp or llm."""
    weights: Path | None = None
    """Weights file made by ``pingshao train``; the shipped one when absent."""
    llm: Llm | None = None
    """The endpoint of ``engine = "llm"``."""

    @model_validator(mode="after")
    def _endpoint(self) -> "Scoring":
        if self.engine == "llm" and self.llm is None:
            raise ValueError('engine = "llm" 还要有 [scoring.llm]，写上 base_url 和 model')
        return self


class Desk(Section):
    """The pages of the service: who gets in."""

    session: Duration = Field(default="12h", validate_default=True)
    """A login lasts so long."""
    user_header: str = ""
    """Header in which a proxy names the person it has let in, such as ``X-Forwarded-User``; empty for none."""
    header_from: list[str] = ["127.0.0.1", "::1"]
    """Addresses of proxies whose ``user_header`` counts."""
    api_rate: Rate = "600/1m"
    """Most requests of one API token in a time, to each process of the service."""
    oidc: company_login.Oidc | None = None
    """The company's own login."""


class Settings(BaseSettings):
    """The whole config."""

    model_config = SettingsConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    service: Service = Service()
    """The service."""
    shops: list[Shop] = []
    """Shops."""
    sources: list[Source] = []
    """Sources."""
    channels: list[Channel] = []
    """Channels."""
    smtp: Smtp | None = None
    """Mail server; without one no mail is sent."""
    people: list[Person] = []
    """People."""
    policy: Policy = Policy()
    """Policies."""
    calendar: Calendar = Calendar()
    """Working hours."""
    rotas: list[Rota] = []
    """Rotas."""
    desk: Desk = Desk()
    """The desk."""
    retention: Retention = Retention()
    """How long things are kept."""
    routes: Routes = Routes()
    """Routes."""
    summaries: Summaries = Summaries()
    """Summaries."""
    upkeep: Upkeep = Upkeep()
    """How the monitor watches itself."""
    scoring: Scoring = Scoring()
    """Scoring."""
    replies: dict[str, Replies] = {}
    """Own sentences for reply drafts, by category (``[replies.quality]``), by narrower trouble
    (``[replies."quality:异味"]``), for what is critical (``[replies.grave]``, ``[replies."safety:grave"]``) and for
    threats (``[replies.threat]``)."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 — the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 — same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 — same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 — same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the file speaks; the environment holds nothing but secrets."""
        return (init_settings,)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the clocks people see."""
        return ZoneInfo(self.service.timezone)

    def shop_name(self, shop_id: str | None) -> str:
        """The name people know a shop by; mentions without a shop are the brand's."""
        return next((shop.name for shop in self.shops if shop.id == shop_id), shop_id or "品牌")

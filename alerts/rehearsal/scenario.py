"""A scenario file: what buyers write and what people do, by the minutes after its start."""

import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from monitor.config import describe
from monitor.durations import Duration
from monitor.errors import WrongCall
from monitor.section import Section
from monitor.settings import Settings
from monitor.transitions import ACTIONS

_SHIPPED = "scenarios/missing-parcels.toml"


class Says(Section):
    """Buyers who write."""

    at: Duration
    """When the first does, after the start."""
    texts: list[str] = Field(min_length=1)
    """What they write, in turn."""
    count: int = Field(default=0, ge=0, le=10_000)
    """How many write; as many as there are texts when absent."""
    over: Duration = timedelta()
    """From the first to the last."""
    post: bool = False
    """Posts on the net about the brand, instead of reviews."""
    platform: str = ""
    """Where; the shop's own platform when absent."""
    stars: float | None = Field(default=None, ge=1, le=5)
    """Stars of each."""
    product: str = ""
    """What they bought."""
    extra: dict[str, str | int | float] = {}
    """Further facts, such as ``warehouse``, ``courier``, ``likes``."""
    same_author: bool = False
    """One person writes all of it."""


class Does(Section):
    """A person who acts."""

    at: Duration
    """When, after the start."""
    who: str
    """A name of the config's ``people``, or a role: then the first of that role."""
    what: str
    """An action, such as ``claim``, ``plan``, ``notified_sms``, ``resolved``."""
    on: Literal["case", "crisis"] = "crisis"
    """To what."""
    number: int = Field(default=1, ge=1)
    """The how manieth that the rehearsal opened."""
    note: str = ""
    """What is written with it."""
    to: str = ""
    """A person, a crisis, categories."""
    members: str = ""
    """With ``plan``: who is in the crisis group."""
    facts: str = ""
    """With ``plan``: what is known."""


class Scenario(Section):
    """A day to be practised."""

    name: str
    """What it is called."""
    start: datetime | None = None
    """Local time at which it starts; now when absent."""
    hours: float = Field(default=24, gt=0, le=24 * 31)
    """How long it lasts."""
    shop: str = ""
    """The shop it happens to; the config's first when absent."""
    says: list[Says] = []
    """What buyers write."""
    does: list[Does] = []
    """What people do."""

    @model_validator(mode="after")
    def _something(self) -> "Scenario":
        if not self.says:
            raise ValueError("至少要有一段 [[says]]：没有人说话，就没有什么可演练的")
        return self


def read(path: Path | None, settings: Settings) -> Scenario:
    """Read a scenario file, or the shipped one, and check it against the config.

    Raises:
        WrongCall: it cannot be read, or names a key, shop, person or action that does not exist.
    """
    try:
        text = path.read_text("utf-8-sig") if path else shipped()
        scenario = Scenario(**tomllib.loads(text))
    except OSError as error:
        raise WrongCall(f"{path}: 读不到剧本（{error.strerror}）") from None
    except UnicodeDecodeError:
        raise WrongCall(f"{path}: 应为 UTF-8 编码") from None
    except ValidationError as error:
        raise WrongCall(f"{path}: {describe(error, Scenario)}") from None
    except (ValueError, RecursionError) as error:
        raise WrongCall(f"{path}: 不是合法的 TOML：{error}") from None
    for problem in _problems(scenario, settings):
        raise WrongCall(f"{path}: {problem}")
    return scenario


def person(settings: Settings, who: str) -> str:
    """The name of somebody called by name or by role; empty when there is nobody."""
    return next((one.name for one in settings.people if who in (one.name, one.role)), "")


def shipped() -> str:
    """The text of the shipped scenario, to begin one's own with."""
    return files("alerts.rehearsal").joinpath(_SHIPPED).read_text("utf-8")


def _problems(scenario: Scenario, settings: Settings) -> Iterator[str]:
    shops = [shop.id for shop in settings.shops]
    names = "、".join(f"{one.name}（{one.role}）" for one in settings.people) or "（一个也没有）"
    if not shops:
        yield "配置里还没有 [[shops]]，不知道给哪家店演练"
    if scenario.shop and scenario.shop not in shops:
        yield f"shop: 配置里没有店铺 {scenario.shop!r}；有的是 {'、'.join(shops)}"
    for n, deed in enumerate(scenario.does, 1):
        if deed.what not in ACTIONS:
            yield f"does[{n}].what: 没有操作 {deed.what!r}；有的是 {'、'.join(ACTIONS)}"
        elif not person(settings, deed.who):
            yield f"does[{n}].who: 配置里没有叫 {deed.who!r} 的人；有的是 {names}"

"""Plain makers of what tests need; every argument has a harmless default."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Engine
from sqlmodel import Session

from crawler.items import FeedbackItem
from monitor.clock import HandClock
from monitor.core import Core
from monitor.notices import Notice
from monitor.settings import Settings

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)  # Friday 14:00 in Shanghai


def make_settings(var_dir: Path | str = "/nonexistent", **overrides: Any) -> Settings:
    """A config with one shop, three people, no sources and no channels."""
    values: dict[str, Any] = {
        "service": {"var_dir": var_dir},
        "shops": [{"id": "demo", "name": "示例旗舰店", "platform": "tmall"}],
        "people": [
            {"name": "客服一号", "role": "agent", "slack": "U0001", "email": "agent1@example.com"},
            {"name": "主管", "role": "lead", "slack": "U0002", "email": "lead@example.com"},
            {"name": "经理", "role": "manager", "slack": "U0003", "email": "manager@example.com"},
        ],
    }
    return Settings(**(values | overrides))


class Ahead:
    """The real time and some seconds; they can be made more."""

    def __init__(self, seconds: float) -> None:
        self._by = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._by

    def move(self, by: timedelta) -> None:
        self._by += by


class Notices(list[Notice]):
    """A notify that keeps what it was told."""

    def __call__(self, _session: Session, notices: Sequence[Notice]) -> None:
        self.extend(notices)

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self]


def make_core(engine: Engine, settings: Settings | None = None, clock: HandClock | None = None, **parts: Any) -> Core:
    return Core(
        settings=settings or make_settings(),
        engine=engine,
        clock=clock or HandClock(NOW),
        secret=parts.pop("secret", b"test secret"),
        notify=parts.pop("notify", Notices()),
        view=lambda subject, subject_id: f"http://desk.test/{subject}/{subject_id}",
    )


def make_hash(password: str) -> str:
    """A password as accounts keep it, hashed without the cost that real ones are meant to have."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


def make_item(external_id: str = "1", text: str = "杯子漏水，很失望", **values: Any) -> FeedbackItem:
    return FeedbackItem(external_id=external_id, text=text, **({"created_at": NOW} | values))

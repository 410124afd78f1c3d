"""A desk to be fuzzed: called as a server would, by ASGI, over a store of its own; no answer of its may be a 5xx."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import wecom_double
from callers import ROLES, bearer, seed
from factories import NOW, Notices, make_core, make_settings

from alerts.desk import tokens
from alerts.desk.app import create_app
from alerts.desk.tokens import SCOPES, Wish
from alerts.links import Links
from monitor import db, directory
from monitor.clock import HandClock
from monitor.core import Core

STAMP = str(int(NOW.timestamp()))
_ENV = {
    "F_SLACK": "slack-key", "F_FEISHU": "feishu-key", "F_DING": "ding-key", "F_WECOM": wecom_double.TOKEN,
    "F_AES": wecom_double.LETTERS, "F_HOOK": "hook-key",
}  # fmt: skip
_CHANNELS = [
    {"name": "slack", "kind": "slack", "target": "C1", "signing_secret_env": "F_SLACK", "base_url": "http://127.0.0.1:9"},
    {"name": "飞书", "kind": "feishu", "app_id": "cli_1", "token_env": "X", "signing_secret_env": "F_FEISHU"},
    {"name": "钉钉", "kind": "dingtalk", "app_id": "d1", "token_env": "X", "signing_secret_env": "F_DING"},
    {
        "name": "企微", "kind": "wecom", "app_id": "1000002", "corp_id": wecom_double.CORP, "token_env": "X",
        "signing_secret_env": "F_WECOM", "aes_key_env": "F_AES", "base_url": "http://127.0.0.1:9",
    },
]  # fmt: skip
_FIELDS = {"id": "id", "text": "text", "stars": "stars", "time": "time", "author": "author", "likes": "likes"}
_SOURCE = {"name": "crm", "kind": "webhook", "shop": "demo", "secret_env": "F_HOOK", "fields": _FIELDS}
_OFTEN = 400  # requests after which the store is made anew


@dataclass
class House:
    """A desk over its own store, and the headers of who may do everything."""

    core: Core
    app: Any
    loop: asyncio.AbstractEventLoop
    token: dict[str, str]
    asked: int = 0

    def renew(self) -> None:
        """Make the store anew under the same application, so that all that an application keeps shows."""
        self.core.engine.dispose()
        for end in ("", "-wal", "-shm"):
            _file().with_name(_file().name + end).unlink(missing_ok=True)
        _file().write_bytes(_template()[0])
        self.core.settings, self.core.laid = self.core.file, 0
        self.core.pasts.clear()
        self.core.notify = Notices()

    def ask(self, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> int:
        """The status of the answer to a request.

        Raises:
            AssertionError: It is the server's own fault; 503 says come again, and Slack and WeCom do.
        """
        return self.loop.run_until_complete(self.answer(method, path, body, query, **headers))

    async def answer(self, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> int:
        """`ask` from within the loop."""
        status, text = await self._told(method, path, body, query, headers)
        assert status < 500 or (status == 503 and path.endswith("/actions")), (status, text[:200])
        return status

    async def _told(
        self, method: str, path: str, body: bytes, query: str, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        told = {"host": "127.0.0.1:8000", "x-user": "admin", **{k.replace("_", "-"): v for k, v in headers.items()}}
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode("utf-8", "replace"), "root_path": "",
            "query_string": query.encode("latin-1", "replace"), "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 5000),
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in told.items()],
        }  # fmt: skip
        status, parts, sent = 0, bytearray(), False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.extend(message.get("body", b""))

        await self.app(scope, receive, send)
        return status, bytes(parts)


_kept = tempfile.TemporaryDirectory(prefix="pingshao-fuzz-")


def _file() -> Path:
    return Path(_kept.name) / "desk.db"


@cache
def _template() -> tuple[bytes, dict[str, str]]:
    """A store with something of everything, and the headers that bring its token."""
    folder = Path(_kept.name)
    engine = db.connect(f"sqlite:///{folder / 'a.db'}")
    db.upgrade(engine, folder, NOW)
    core = _core(engine)
    with db.writing(engine) as session:
        directory.sync(session, core.settings)
    seed(core)
    with db.writing(engine) as session:
        token = bearer(tokens.add(core, session, Wish("erp", tuple(SCOPES), role="admin"), "老板", "cli"))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return (folder / "a.db").read_bytes(), token


def _core(engine: Any) -> Core:
    people = [{"name": role, "role": role, "slack": "U1", "feishu": "ou_1", "wecom": "w1"} for role in ROLES.values()]
    shops = [{"id": "demo", "name": "示例旗舰店"}, {"id": "other", "name": "另一家店"}]
    desk = {"api_rate": "1000000/1m", "user_header": "X-User"}
    told: dict[str, Any] = {"people": people, "shops": shops, "channels": _CHANNELS, "sources": [_SOURCE], "desk": desk}
    return make_core(engine, make_settings(**told), HandClock(NOW))


@cache
def _house() -> House:
    os.environ.update(_ENV)
    core = _core(db.connect(f"sqlite:///{_file()}"))
    # whoever passes on is believed: else uvicorn keeps the last 4,096 addresses, and what it decided of each
    app = create_app(core, Links(core.secret, "http://127.0.0.1:8000", core.clock), proxies="*")
    return House(core, app, asyncio.new_event_loop(), _template()[1])


def house() -> House:
    """The desk; its store is a new one now and then, so that it does not fill up."""
    if _house().asked % _OFTEN == 0:
        _house().renew()
    _house().asked += 1
    return _house()

"""The salts of author hashes, and how another one is laid over them.

A name is hashed with the service's secret, the result with the next salt, and so on. So a new salt needs no names:
every stored hash is hashed once more, and old and new feedback of one author still belong together. What it is worth:
hashes that leaked before cannot be compared with the store any more, and whoever knows the older salts alone can no
longer try names against it. Every salt has to be kept: ``var_dir/salts``, like the secret, on each machine.

How many salts count stands in the store and changes in the same transaction as the hashes.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from monitor import audit, db, known
from monitor.bulk import update_column
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Case, Feedback, Known
from monitor.privacy import author_hash

_NAME = "salts"
_BATCH = 5000
_LETTERS = 32


def pseudonym(core: Core, session: Session, author: str, platform: str) -> str:
    """The hash that an author has in the store now; empty for one without a name."""
    return _over(author_hash(author, platform, core.secret), _more(core, _count(session)))


def apply(core: Core, session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Lay further salts over new rows' hashes; no other salt comes before the transaction ends."""
    if more := _more(core, _count(session)):
        for row in rows:
            row["author_hash"] = _over(row["author_hash"], more)


def rotate(core: Core, actor: str) -> int:
    """Lay a new salt over every stored hash, in one transaction; gives how many hashes there were.

    The salt is on the disk before a hash depends on it. Who stores feedback waits meanwhile.
    """
    with db.writing(core.engine) as session:
        row = known.hold(session, _NAME, core.clock.now())
        count = int(row.value.get("count", 1))
        salt = secrets.token_bytes(_LETTERS)
        _keep(_file(core), [*_more(core, count), salt])
        done = _hashes(session, salt)
        _join_keys(session, salt)
        row.value, row.at = {"count": count + 1}, core.clock.now()
        session.add(row)
        audit.note(session, core.clock.now(), "author", 0, "salted", actor, "cli", after={"hashes": done})
    return done


def _count(session: Session) -> int:
    held = select(Known.value).where(Known.name == _NAME).with_for_update(read=True)
    value = session.exec(held).first()
    return int(value["count"]) if value else 1


def _file(core: Core) -> Path:
    return core.settings.service.var_dir / "salts"


def _more(core: Core, count: int) -> list[bytes]:
    """The salts after the first."""
    if count == 1:
        return []
    file = _file(core)
    found = file.read_text().split() if file.exists() else []
    if len(found) < count - 1:
        raise WrongCall(f"{file}: 少了盐：库里用到第 {count - 1} 行；从别的机器或备份处拷过来")
    return [bytes.fromhex(line) for line in found[: count - 1]]


def _keep(file: Path, salts: Sequence[bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as out:
        out.writelines(f"{salt.hex()}\n" for salt in salts)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)


def _over(found: str, salts: Sequence[bytes]) -> str:
    for salt in salts if found else ():
        found = hmac.digest(salt, found.encode(), hashlib.sha256).hex()[:_LETTERS]
    return found


def _hashes(session: Session, salt: bytes) -> int:
    last, done = 0, 0
    hashed = select(Feedback.id, Feedback.author_hash).where(Feedback.author_hash != "").order_by(col(Feedback.id))
    while rows := session.exec(hashed.where(col(Feedback.id) > last).limit(_BATCH)).all():
        update_column(session, Feedback, "author_hash", {n or 0: _over(found, [salt]) for n, found in rows})
        last, done = rows[-1][0] or 0, done + len(rows)
    return done


def _join_keys(session: Session, salt: bytes) -> None:
    """Cases are joined by author too."""
    last = 0
    named = select(Case.id, Case.shop_id, Case.join_key).where(Case.join_key != "").order_by(col(Case.id))
    while rows := session.exec(named.where(col(Case.id) > last).limit(_BATCH)).all():
        again = {n or 0: _rejoined(shop_id, key, salt) for n, shop_id, key in rows}
        update_column(session, Case, "join_key", again)
        last = rows[-1][0] or 0


def _rejoined(shop_id: str | None, key: str, salt: bytes) -> str:
    shop = f"{shop_id}|"
    match = re.fullmatch(rf"({re.escape(shop)})([0-9a-f]{{{_LETTERS}}})(\|.*)", key, re.DOTALL)
    return f"{match[1]}{_over(match[2], [salt])}{match[3]}" if match else key

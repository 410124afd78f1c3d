"""Tokens that a platform gave in exchange, in a file that only the service's secret opens: they outlive a restart."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PATIENCE = 30.0  # seconds for another crawl to end its exchange
_PAUSE = 0.1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Vault:
    """The tokens of one authorization, which several sources may share.

    Attributes:
        file: Where they lie; None where there is no place for them, and then none may be exchanged: the old ones end.
        key: 32 bytes as URL-safe base64; made of the service's secret.
    """

    file: Path | None = None
    key: str = ""

    def __bool__(self) -> bool:
        return self.file is not None

    def lock(self) -> IO[bytes]:
        """Keep other crawls from exchanging the same tokens until what this gives is closed, or the process ends.

        Raises:
            OSError: Another holds it for too long, or there is no place for it.
        """
        assert self.file is not None
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = self.file.with_name(f"{self.file.name}.lock").open("ab")
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    held.close()
                    raise
                time.sleep(_PAUSE)
            else:
                return held

    def read(self) -> dict[str, str]:
        """What was kept; nothing where nothing was, or where another secret kept it."""
        from cryptography.fernet import Fernet, InvalidToken

        if self.file is None or not self.file.exists():
            return {}
        try:
            kept: dict[str, str] = json.loads(Fernet(self.key).decrypt(self.file.read_bytes()))
        except InvalidToken:
            logger.warning("%s was not written with this service's secret and is left alone", self.file)
            return {}
        return kept

    def write(self, kept: Mapping[str, str]) -> None:
        """Keep this instead, for the owner's eyes only; after a crash there is the old or the new, never half.

        To be called by whoever holds the lock.

        Raises:
            OSError: It cannot be kept; what was there is still there.
        """
        from cryptography.fernet import Fernet

        assert self.file is not None
        draft = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        handle = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(Fernet(self.key).encrypt(json.dumps(dict(kept)).encode()))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.file)

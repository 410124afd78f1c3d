"""Secrets of a source: read from the environment, and kept out of whatever a crawl says."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

_HIDDEN = "***"
_SHORTEST = 6  # characters; replacing less would garble every message
_NAMED = re.compile(
    r"""(\b(?:(?:access|refresh|id|api|auth)_?token|token|session|sign|sig|signature|assertion|password|cookie"""
    r"""|(?:client|app|consumer|sign)?_?secret|(?:consumer|api)_?key)(?:=|"\s*:\s*"))(?:(?!:\s)[^&\s"',}])+""",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)


class MissingSecretError(LookupError):
    """A variable of the environment that a source names is not set; the message names key and variable, in Chinese."""


class Secrets:
    """Where a connector gets its secrets; what it got is never shown afterwards."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._kept: set[str] = set()

    def read(self, key: str, variable: str) -> str:
        """The value of an environment variable.

        Args:
            key: The source's key in the config that names the variable, for the message.
            variable: The variable's name.

        Raises:
            MissingSecretError: It is unset or empty.
        """
        value = self._env.get(variable, "").strip()
        if not value:
            raise MissingSecretError(f"{key} = {variable!r}：环境变量 {variable} 没有设置")
        return self.keep(value)

    def keep(self, value: str) -> str:
        """Never show this value, such as a token got in exchange; gives it back."""
        if len(value) >= _SHORTEST:
            self._kept |= {value, quote(value, safe=""), quote_plus(value)}
        return value

    def hide(self, text: str) -> str:
        """The text with secret values, and parameters that by their name carry one, made unreadable."""
        for value in sorted(self._kept, key=len, reverse=True):
            text = text.replace(value, _HIDDEN)
        return _AUTHORIZATION.sub(rf"\1 {_HIDDEN}", _NAMED.sub(rf"\1{_HIDDEN}", text))


class HidingFormatter(logging.Formatter):
    """Another formatter's lines, tracebacks among them, without secrets."""

    def __init__(self, inner: logging.Formatter | None, hide: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        """The line, harmless."""
        return self._hide(self._inner.format(record))

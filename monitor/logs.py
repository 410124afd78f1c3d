"""Logs: one line of ``key=value`` an event, to standard error, so that standard output stays the command's answer.

What is logged names runs, crises, cases and messages by their ids. Whatever else got into a line, such as what a
library says of a text it could not read, loses personal data and secrets here.
"""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from monitor.refusals import take_words

_OWN = ("timestamp", "level", "logger")  # ours, and harmless
_SHORTEST = 6  # characters of a secret; hiding less would garble every line
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*?[^\x00-\x7f](?:\\.|(?!\1).)*\1""", re.DOTALL)
_INPUT = re.compile(r"input_value=.*?(?=, input_type=)", re.DOTALL)
_KEYS = re.compile(
    r"""(/[avg]/)[\w.~-]{8,}            # signed links
    |(psh_|xox[a-z]-|xapp-)[\w-]{4,}    # our tokens, Slack's
    |(://[^/\s:@]*:)[^/\s@]+(?=@)       # of an address with a password
    |([?&](?:key|code|state)=)[^&\s"']+
    |(/hook/|/services/|/send/|/ping/)[\w/-]{8,}  # addresses that are keys
    """,
    re.VERBOSE,
)
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # what moves a cursor


def set_up(secrets: Iterable[str] = ()) -> None:
    """Send structlog's events and the libraries' warnings to standard error.

    Args:
        secrets: Values that are never shown, such as those of the config's variables; called again, these count.
    """
    harmless = _Harmless(secrets)
    shared: list[Any] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso")]
    last: list[Any] = [
        _told_errors,
        harmless,
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
    ]
    _take_over(shared, last)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, *last],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # the stream of now, not of the set-up
        cache_logger_on_first_use=False,
    )


class _ToStandardError(logging.StreamHandler[Any]):
    """Writes to what standard error is now."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _stream: Any) -> None:
        pass


def _take_over(shared: list[Any], last: list[Any]) -> None:
    """Send what libraries log the same way, where nobody else took care of that."""
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _ToStandardError)]
    if not root.handlers:
        handler = _ToStandardError()
        chain = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        before = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_logger_name, *shared]
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=chain))
        root.addHandler(handler)


def _told_errors(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """An exception as its frames and messages; what messages quote may be somebody's words."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_lines(error, set()))
    return event


def _lines(error: BaseException, seen: set[int]) -> Iterable[str]:
    seen.add(id(error))
    take_words(error)  # of a connection that is not ours, as the queue's
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "then:"
    yield from "".join(traceback.format_tb(error.__traceback__)).rstrip().split("\n")
    yield unquoted("".join(traceback.format_exception_only(error)).rstrip())


def told(error: BaseException) -> str:
    """Any exception in one line that may be stored and sent: its type, and its message without what it quotes."""
    take_words(error)
    return f"{type(error).__name__}: {' '.join(unquoted(str(error)).split())}"


def unquoted(message: str) -> str:
    """An exception's message without what it quotes: texts, and the values that validation refused."""
    return _QUOTED.sub(r"\1…\1", _INPUT.sub("input_value=…", message))


class _Harmless:
    """Takes secrets and personal data out of every value."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        return {key: value if key in _OWN else self._safe(value) for key, value in event.items()}

    def _safe(self, value: Any) -> Any:
        if isinstance(value, bool | int | float | None):
            return value
        text = value if isinstance(value, str) else str(value)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _KEYS.sub(lambda found: f"{next(filter(None, found.groups()))}***", text)
        return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], _masks()(text))


@lru_cache(maxsize=1)
def _masks() -> Callable[[str], str]:
    """Masks what stands in every store masked, and what is a secret by its name; loaded with the first line."""
    from crawler.secrets import Secrets
    from monitor.privacy import mask

    hide = Secrets({}).hide
    return lambda text: mask(hide(text)).text

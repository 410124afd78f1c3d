"""What a database says of an error, without what it quotes of the rows: errors are logged, buyers' words are not.

PostgreSQL adds the failing row, its key or the line it was copying to what it says, and quotes a value that is none of
its type; SQLite quotes the text in which it found a mistake. What stays is which rule was broken.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

# from the first mark to the last: a value may hold marks too
_QUOTED = re.compile(r"[\"“«„「'].*[\"”»“」']", re.DOTALL)
_QUOTING = ("22", "42601")  # PostgreSQL: a value that is wrong, or text that cannot be read, as a search's


def listen(engine: "Engine") -> None:
    """Have every error of an engine's statements say no more than it should."""
    from sqlalchemy import event

    event.listen(engine, "handle_error", _take_words)


@contextmanager
def unworded() -> Iterator[None]:
    """Have errors of a driver that is used by itself say no more than they should."""
    try:
        yield
    except Exception as error:
        take_words(error)
        raise


def take_words(error: BaseException) -> None:
    """Take what a driver's error quotes of rows out of its message; other errors stay as they are."""
    if isinstance(error, UnicodeError):  # its message has no words, but what asyncio prints of a task has its arguments
        error.args = (str(error),)
        return
    diag = getattr(error, "diag", None)
    if told := getattr(diag, "message_primary", None):
        quotes = str(getattr(diag, "sqlstate", "")).startswith(_QUOTING)
    elif isinstance(error, sqlite3.Error):
        told, quotes = str(error), True
    else:
        return
    error.args = (_QUOTED.sub("…", told) if quotes else told,)


def _take_words(context: Any) -> None:
    before = str(context.original_exception)
    take_words(context.original_exception)
    if told := context.sqlalchemy_exception:
        told.args = tuple(one.replace(before, str(context.original_exception)) for one in told.args)

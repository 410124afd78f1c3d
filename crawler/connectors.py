"""Finds connectors by name: a file in ``crawler/spiders`` is a connector, no list has to be kept."""

import difflib
import importlib
import inspect
import pkgutil
from typing import Any

from crawler import spiders
from crawler.bases.base import Connector


class UnknownKindError(LookupError):
    """No connector of this name; the message names the nearest."""


def kinds() -> list[str]:
    """Names of all connectors, sorted; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(spiders.__path__))


def load(kind: str) -> type[Connector[Any]]:
    """The connector class of a kind; its ``Options`` check the kind's keys in the config.

    Raises:
        UnknownKindError: There is no such kind.
    """
    known = kinds()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, n=1, cutoff=0.0)
        raise UnknownKindError(f"没有名为 {kind!r} 的 kind，是不是 {near[0]!r}？可用的有：{'、'.join(known)}")
    module = importlib.import_module(f"{spiders.__name__}.{kind}")
    classes = inspect.getmembers(module, inspect.isclass)
    return next(c for _, c in classes if issubclass(c, Connector) and c.__module__ == module.__name__)

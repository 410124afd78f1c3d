"""What the API takes and answers with about settings, rules and routes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alerts.desk.api_given import Given, Lines, Real, Seen, Short, Whole
from alerts.desk.api_models import Answer
from alerts.desk.editing_fields import ROUTES


class Changed(Answer):
    """A setting that the desk or a program says in place of the file."""

    key: str
    label: str
    file: str
    """What the file says, in short words."""
    desk: str
    """What is said in its place."""
    actor: str
    at: datetime
    seen: str
    """For the way back."""
    left_out: str
    """Why it does not count; empty where it does."""


class Rule(Answer):
    """A figure of a rule."""

    key: str
    label: str
    kind: str
    """count, duration (such as ``1h``), switch, span (such as ``23:30-07:30``) or figure (such as 0.3)."""
    hint: str
    value: bool | int | float | str | None
    file: bool | int | float | str | None


class RuleGroup(Answer):
    """Rules that are changed together."""

    group: str
    label: str
    rules: Sequence[Rule]
    seen: str


class RulesTried(Given):
    """Figures by key; those that are left out stay as they are."""

    values: Annotated[dict[str, bool | Whole | Real | Short | None], Field(max_length=100)]


class RulesGiven(RulesTried):
    """With the mark of what was seen."""

    seen: Seen


class RoutesNow(Answer):
    """Which channels hear what."""

    routes: Mapping[str, Sequence[str]]
    file: Mapping[str, Sequence[str]]
    channels: Mapping[str, str]
    """Names of channels and their kinds."""
    silent: Sequence[str]
    """Routes that nobody hears."""
    seen: str


class RoutesGiven(Given):
    """Channels by route; a route that is left out stays as it is."""

    routes: dict[Literal[tuple(ROUTES)], Lines]  # type: ignore[valid-type] # whatever routes there are
    seen: Seen


class ChannelGiven(Given):
    """A channel."""

    channel: Short

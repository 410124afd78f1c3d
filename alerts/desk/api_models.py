"""What the API answers with; names are those of the exports, times ISO 8601 in UTC."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Answer(BaseModel):
    """What all have in common."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class Page(Answer, Generic[Item]):
    """Some of a list; ``next`` asked for as ``after`` gives those that follow, null where there are none."""

    items: Sequence[Item]
    next: str | None


class Clock(Answer):
    """A deadline; ``met_at`` after ``due_at`` was late."""

    stage: str
    due_at: datetime
    state: str
    met_at: datetime | None


class Happened(Answer):
    """An event of the audit."""

    id: int
    at: datetime
    actor: str
    door: str
    subject: str
    subject_id: int
    what: str
    words: str
    """In Chinese."""
    note: str
    """What the person wrote."""


class Audited(Happened):
    """An event with all it says."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]


class Version(Answer):
    """What a feedback said before."""

    version: int
    at: datetime
    text: str
    stars: float | None
    reply: str
    deleted: bool


class Grown(Answer):
    """How often a post was liked, passed on and answered at one time."""

    at: datetime
    likes: int | None
    reposts: int | None
    comments: int | None


class Said(Answer):
    """A review or mention in its newest version, personal data masked; judged where ``model`` is not null."""

    id: int
    shop: str | None
    source: str
    platform: str
    kind: str
    external_id: str
    url: str
    title: str
    text: str
    stars: float | None
    author: str
    author_hash: str
    product: str
    order_ref: str
    reply: str
    deleted: bool
    created_at: datetime | None
    happened_at: datetime
    first_seen_at: datetime
    version: int
    negative: bool | None
    p_negative: float | None
    categories: list[str]
    severity: str | None
    flags: list[str]
    evidence: list[dict[str, Any]]
    model: str | None
    case_id: int | None
    duplicate_of: int | None


class SaidInFull(Said):
    """With its earlier versions and how it spread."""

    versions: Sequence[Version]
    spread: Sequence[Grown]


class Done(Answer):
    """What became of an action."""

    done: bool
    words: str
    """One Chinese sentence."""


class Health(Answer):
    """How a source is doing."""

    name: str
    kind: str
    shop: str | None
    status: str
    error: str
    last_run_at: datetime | None
    last_success_at: datetime | None
    last_item_at: datetime | None
    last_new_at: datetime | None
    new_24h: int
    usual_24h: float | None
    warnings: Sequence[str]


class Letter(Answer):
    """A message of the outbox; to whom it goes and what it says is left out."""

    id: int
    dedupe_key: str
    channel: str
    kind: str
    subject: str
    subject_id: int
    state: str
    attempts: int
    created_at: datetime
    not_before: datetime
    sent_at: datetime | None
    maybe_twice: bool
    last_error: str


class Someone(Answer):
    """Somebody who is told or who acts."""

    name: str
    role: str
    shops: list[str]
    categories: list[str]
    tiers: list[str]
    most_open: int
    active: bool


class OnDuty(Answer):
    """Who is on duty for some shops from when to when; null among shops is what belongs to the brand alone."""

    shops: Sequence[str | None]
    start: datetime
    end: datetime
    people: Sequence[str]


class Me(Answer):
    """Who asks."""

    name: str
    role: str
    shops: Sequence[str]
    """Those it may see; all when empty."""
    scopes: Sequence[str]
    form_key: str
    """For ``X-Form-Key`` where no token comes with a request; empty with a token."""


class Table(Answer):
    """A table to take away."""

    name: str
    formats: Sequence[str]


class Report(Answer):
    """A report that was sent; version 2 and more are corrections."""

    name: str
    title: str
    version: int
    at: datetime


class Fault(Answer):
    """Something wrong with a public answer, or that there is none."""

    id: int
    feedback_id: int
    shop: str | None
    kind: str
    words: str
    """The sentence to look at."""
    why: str
    answer: str
    state: str
    found_at: datetime
    settled_at: datetime | None
    settled_by: str

"""``pingshao sources``: which kinds there are and what each needs; which sources are configured and how they are."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from crawler import connectors, reference
from monitor.config import secret
from monitor.models import Run
from monitor.models import Source as Row
from monitor.settings import Settings, Source


@dataclass(frozen=True, slots=True)
class Kind:
    """A connector as its users see it.

    Attributes:
        title: What it reads, in Chinese.
        required: Keys that must be written.
        env: Keys that must be written too and name environment variables, those with secrets.
        opt_in: Works only where the config says ``observed = true``.
        page: Where it is documented, from the repository's root.
    """

    kind: str
    title: str
    required: tuple[str, ...]
    env: tuple[str, ...]
    opt_in: bool
    page: str


def kinds() -> list[Kind]:
    """Every kind, those on by default first."""
    found = []
    for kind in connectors.kinds():
        connector = connectors.load(kind)
        fields = connector.Options.model_fields
        required = tuple(key for key, field in fields.items() if field.is_required() and not key.endswith("_env"))
        env = tuple(key for key, field in fields.items() if field.is_required() and key.endswith("_env"))
        found.append(Kind(kind, connector.title, required, env, "observed" in fields, reference.page_of(kind)))
    return sorted(found, key=lambda one: one.opt_in)


def configured(session: Session, settings: Settings) -> list[dict[str, Any]]:
    """Every source of the config: state, last run, and the environment variables it needs that are not set."""
    known = {row.name: row for row in session.exec(select(Row))}
    told = []
    for source in settings.sources:
        row = known.get(source.name)
        last = row and session.exec(select(Run).where(Run.source_id == row.id).order_by(col(Run.id).desc())).first()
        told.append(
            {
                "name": source.name,
                "kind": source.kind,
                "enabled": source.enabled,
                "status": row.status if row else "new",
                "last_run_at": _time(row and row.last_run_at, settings),
                "last_success_at": _time(row and row.last_success_at, settings),
                "error": row.last_error if row else "",
                "last_run": {name: getattr(last, name) for name in ("pages", "seen", "new")} if last else None,
                "missing_env": _missing(source),
            }
        )
    return told


def as_json(found: list[Kind], sources: list[dict[str, Any]]) -> dict[str, Any]:
    """Both lists as one object."""
    return {"kinds": [asdict(kind) for kind in found], "sources": sources}


def _missing(source: Source) -> list[str]:
    named = (value for key, value in source.options.items() if key.endswith("_env") and isinstance(value, str))
    return [name for name in named if name and not secret(name)]


def _time(at: Any, settings: Settings) -> str | None:
    return at.astimezone(settings.zone).isoformat(timespec="seconds") if at else None

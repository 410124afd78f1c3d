"""Shops, people and sources of the config, brought into the store so that rows can point at them."""

from typing import Literal

from sqlmodel import Session, select

from monitor.models import Person, Shop, Source
from monitor.settings import Settings

Move = Literal["joined", "left"]


def sync(session: Session, settings: Settings) -> list[tuple[Person, Move]]:
    """Add and update what the config names; nothing is deleted, people who left become inactive.

    Returns:
        Who joined or came back, and who left.
    """
    for shop in settings.shops:
        session.merge(Shop(id=shop.id, name=shop.name, platform=shop.platform))
    session.flush()
    people = {row.name: row for row in session.exec(select(Person))}
    moves: list[tuple[Person, Move]] = []
    for person in settings.people:
        row = people.pop(person.name, None) or Person(name=person.name, role=person.role, active=False)
        moves += [] if row.active else [(row, "joined")]
        row.sqlmodel_update(person.model_dump(), update={"active": True, "origin": "config"})
        session.add(row)
    for row in (row for row in people.values() if row.origin == "config"):
        moves += [(row, "left")] if row.active else []
        row.active = False
        session.add(row)
    for source in settings.sources:
        ensure_source(session, source.name, source.kind, source.shop)
    session.flush()
    return moves


def ensure_source(session: Session, name: str, kind: str, shop_id: str | None) -> Source:
    """The source's row, made if absent; kind and shop follow the config."""
    row = session.exec(select(Source).where(Source.name == name)).one_or_none()
    row = row or Source(name=name, kind=kind)
    row.kind, row.shop_id = kind, shop_id
    session.add(row)
    session.flush()
    return row

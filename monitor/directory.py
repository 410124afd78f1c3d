"""Shops, people and sources of the config, brought into the store so that rows can point at them."""

from sqlmodel import Session, select

from monitor.models import Person, Shop, Source
from monitor.settings import Settings


def sync(session: Session, settings: Settings) -> None:
    """Add and update what the config names; nothing is deleted, people who left become inactive."""
    for shop in settings.shops:
        session.merge(Shop(id=shop.id, name=shop.name, platform=shop.platform))
    session.flush()
    people = {row.name: row for row in session.exec(select(Person))}
    for person in settings.people:
        row = people.pop(person.name, None) or Person(name=person.name, role=person.role)
        row.role, row.slack, row.email, row.active = person.role, person.slack, person.email, True
        session.add(row)
    for left in people.values():
        left.active = False
        session.add(left)
    for source in settings.sources:
        ensure_source(session, source.name, source.kind, source.shop)
    session.flush()


def ensure_source(session: Session, name: str, kind: str, shop_id: str | None) -> Source:
    """The source's row, made if absent; kind and shop follow the config."""
    row = session.exec(select(Source).where(Source.name == name)).one_or_none()
    row = row or Source(name=name, kind=kind)
    row.kind, row.shop_id = kind, shop_id
    session.add(row)
    session.flush()
    return row

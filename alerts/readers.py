"""Who of those that get mail can look things up at the desk."""

from sqlmodel import Session, col, select

from monitor.models import Account, Person
from monitor.settings import Settings


def with_a_login(session: Session, settings: Settings) -> set[str]:
    """Mail addresses, in small letters, of people whom the desk lets in: by password, company login or proxy."""
    known = select(Person.email).where(Person.active, Person.email != "")
    if not (settings.desk.oidc or settings.desk.user_header):
        known = known.where(col(Person.name).in_(select(Account.name)))
    return {address.lower() for address in session.exec(known)}

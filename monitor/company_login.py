"""The config's shape of the company's own login, and the roles that people may have."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from monitor.section import Section

Role = Literal["agent", "lead", "manager", "brand", "admin"]
"""What people may be."""
_HERE = ("localhost", "127.0.0.1", "::1")


def safe(url: object) -> bool:
    """Whether it is an address that secrets may be sent to: by TLS, or on this machine."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE))


def _issuer(url: str) -> str:
    if not safe(url):
        raise ValueError(f"应为 https 网址，如 https://login.example.com，实为 {url!r}")
    return url


class Oidc(Section):
    """The company's own login (OpenID Connect); needs ``pip install 'pingshao[oidc]'``."""

    issuer: Annotated[str, AfterValidator(_issuer)]
    """Address that the provider calls itself by, to the letter."""
    client_id: str
    """What the provider calls the desk."""
    secret_env: str = ""
    """Environment variable with the client's secret; empty for a client without one."""
    label: str = "公司账号"
    """What the button of the login page calls it."""
    scopes: list[str] = ["openid", "email", "profile"]
    """Scopes that are asked for."""
    claim: str = "email"
    """Claim that says who it is: a mail address is looked up among the people's, anything else among their names. Take
    one that people cannot change themselves."""
    groups: str = "groups"
    """Claim with the person's groups."""
    roles: dict[str, Role] = {}
    """Roles by group, for people that came in this way alone; who is in the config has the role that stands there."""
    create: Literal["", "agent", "lead", "manager", "brand"] = ""
    """Role of those whom nobody knows yet; empty: they are not let in."""

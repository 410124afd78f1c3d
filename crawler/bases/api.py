"""What connectors of official APIs share: the credentials' last day, and answers judged by their status."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from crawler.bases import base
from crawler.bases.base import AttentionError, SourceError
from crawler.bases.json_pages import complaint, load

if TYPE_CHECKING:
    from scrapy.http import TextResponse

WARN_DAYS = 7  # before credentials end
_OK = range(200, 300)
_REFUSED = (401, 403)

# A platform's numeric ids are written without quotation marks as often as with them.
Id = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class ApiOptions(base.Options):
    """Keys of every official API."""

    expires: date | None = Field(default=None, description="授权到期日，如 2026-12-31；到期前 7 天起提醒")


def ending(expires: date | None, today: date) -> str:
    """What to tell people about credentials that end soon, in Chinese; empty while there is time, or no date known."""
    if expires is None or (days := (expires - today).days) > WARN_DAYS:
        return ""
    return f"授权 {expires} 到期（{f'还有 {days} 天' if days >= 0 else '已过期'}），请续期"


def answer(page: "TextResponse", what: str) -> Any:
    """The JSON of an API's answer.

    Args:
        page: The answer, whatever its status.
        what: What was asked, for messages.

    Raises:
        AttentionError: 401 or 403: the credentials are not, or no longer, accepted.
        SourceError: Another status than 2xx, or no JSON; the message says what the platform says.
    """
    if page.status in _OK:
        return load(page.text)
    try:
        said = complaint(load(page.text))
    except SourceError:
        said = ""
    message = f"{what}：HTTP {page.status}{said}"
    if page.status in _REFUSED:
        raise AttentionError(f"{message}；请检查密钥、令牌是否过期、是否有读评价的权限")
    raise SourceError(message)

"""crawler.bases.api: answers judged by their status, and credentials' last day."""

from datetime import date

import pytest
from crawler_factories import make_page
from pydantic import TypeAdapter, ValidationError

from crawler.bases.api import ApiOptions, Id, answer, ending
from crawler.bases.base import AttentionError, SourceError


def test_an_answer_is_its_json() -> None:
    """Any status of success."""
    assert answer(make_page('{"a": 1}').replace(status=201), "reviews") == {"a": 1}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("text", ['{"message": "invalid token"}', "no json"])
def test_refused_credentials_ask_for_a_person(status: int, text: str) -> None:
    """With what the platform says, if it says something."""
    with pytest.raises(AttentionError, match=f"reviews：HTTP {status}") as told:
        answer(make_page(text).replace(status=status), "reviews")
    assert ("对方说：invalid token" in str(told.value)) is text.startswith("{")
    assert "请检查密钥" in str(told.value)


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_any_other_status_is_a_fault(status: int) -> None:
    """Even where its body would pass for an answer."""
    with pytest.raises(SourceError, match=f"^reviews：HTTP {status}$") as told:
        answer(make_page('{"reviews": []}').replace(status=status), "reviews")
    assert type(told.value) is SourceError


def test_what_is_no_json_is_a_fault() -> None:
    """A proxy's page with status 200."""
    with pytest.raises(SourceError, match="不是完整的 JSON"):
        answer(make_page("<html>"), "reviews")


def test_the_last_day_is_told_a_week_ahead() -> None:
    """And after it; never without a date."""
    today = date(2026, 11, 22)
    assert ending(None, today) == ending(date(2026, 11, 30), today) == ""
    assert ending(date(2026, 11, 29), today) == "授权 2026-11-29 到期（还有 7 天），请续期"
    assert ending(today, today) == "授权 2026-11-22 到期（还有 0 天），请续期"
    assert "已过期" in ending(date(2026, 11, 21), today)


def test_the_last_day_is_a_date() -> None:
    """As TOML has it or as text; anything else is refused when the config is read."""
    assert ApiOptions.model_validate({"expires": "2026-12-31"}) == ApiOptions(expires=date(2026, 12, 31))
    with pytest.raises(ValidationError):
        ApiOptions.model_validate({"expires": "soon"})


def test_a_number_is_an_id() -> None:
    """An application's key may stand without quotation marks."""
    assert TypeAdapter(Id).validate_python(12345678) == TypeAdapter(Id).validate_python("12345678") == "12345678"
    with pytest.raises(ValidationError):
        TypeAdapter(Id).validate_python([1])

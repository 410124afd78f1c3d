"""crawler.secrets: read from the environment, never shown."""

import logging
from urllib.parse import quote, quote_plus

import pytest
from crawler_factories import make_connector
from hypothesis import given
from hypothesis import strategies as st

from crawler.secrets import HidingFormatter, MissingSecretError, Secrets


def test_a_missing_variable_names_key_and_variable() -> None:
    """Unset and empty are the same."""
    for env in ({}, {"SHOP_TOKEN": " "}):
        with pytest.raises(MissingSecretError, match="token_env = 'SHOP_TOKEN'：环境变量 SHOP_TOKEN 没有设置"):
            Secrets(env).read("token_env", "SHOP_TOKEN")


def test_an_option_that_names_no_variable_is_no_secret() -> None:
    """Optional secrets are left empty."""
    connector = make_connector("taobao", {"app_key": 1, "secret_env": "S", "session_env": "T"})
    object.__setattr__(connector.options, "secret_env", "")
    assert connector.secret("secret_env") == ""


@given(st.text("abc%/+=?&é示", min_size=6, max_size=20), st.text(max_size=20))
def test_what_was_read_is_never_shown(value: str, around: str) -> None:
    """Whatever stands around it, as it is and as part of an address."""
    secrets = Secrets({"S": value})
    kept = secrets.read("secret_env", "S")
    assert kept == value
    for shown in (value, quote(value, safe=""), quote_plus(value)):
        assert shown not in secrets.hide(f"{around}｜{shown}｜{around}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://a.example/r?page=2&access_token=abc123&x=1", "https://a.example/r?page=2&access_token=***&x=1"),
        (
            "?sign=ABCDEF&session=1&consumer_secret=cs_9&consumer_key=ck_9",
            "?sign=***&session=***&consumer_secret=***&consumer_key=***",
        ),
        ('{"api_token": "abcdefg", "n": 1}', '{"api_token": "***", "n": 1}'),
        ("Authorization: Bearer eyJhbGciOi.J9", "Authorization: Bearer ***"),
        ("Invalid session invalid-sessionkey", "Invalid session invalid-sessionkey"),
        ("design=5 monkey=1", "design=5 monkey=1"),
        ("token已过期", "token已过期"),
    ],
)
def test_parameters_are_hidden_by_name(text: str, shown: str) -> None:
    """Also where nobody registered the value; words around them stay."""
    assert Secrets({}).hide(text) == shown


def test_a_value_too_short_to_be_a_secret_does_not_garble_messages() -> None:
    """A secret "1" would turn every figure into stars."""
    secrets = Secrets({"S": "1"})
    secrets.read("secret_env", "S")
    assert secrets.hide("HTTP 401") == "HTTP 401"


def test_log_lines_and_tracebacks_are_hidden() -> None:
    """A library that logs an address logs no token."""
    secrets = Secrets({})
    secrets.keep("jwt-abcdef")
    formatter = HidingFormatter(None, secrets.hide)
    error = ValueError("asked with jwt-abcdef")
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "%s", ("?sign=77aa",), (ValueError, error, None))
    said = formatter.format(record)
    assert "?sign=***" in said
    assert "asked with ***" in said

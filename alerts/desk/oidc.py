"""The company's own login at its OpenID provider: what is asked there, and whether the answer can be believed.

Exceptions:
    Unreachable: the provider gives no answer that can be read.
    Unbelieved: it gave one, and it proves nothing.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitor.clock import Clock
from monitor.company_login import Oidc, safe
from monitor.config import secret

_TIMEOUT = 5.0  # seconds
_KEPT = timedelta(hours=1)  # what the provider says of itself
_LEEWAY = 60  # seconds by which its clock may differ from ours
_ALGORITHMS = [f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512)]
"""Signatures by keys that the provider alone has; none of a shared secret, least of all "none"."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Unreachable(Exception):
    """The provider gives no answer that can be read; the message is for the log."""


class Unbelieved(Exception):
    """The answer proves nothing; the message is for the log."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a login must come back with.

    Attributes:
        state: In the address.
        nonce: In the ID token.
        verifier: Opens the code (PKCE).
    """

    state: str
    nonce: str
    verifier: str


def begin() -> Asking:
    """Secrets for one login."""
    return Asking(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


class Provider:
    """One OpenID provider; what it says of itself and its keys are fetched when they are needed, and kept.

    Args:
        settings: Issuer and client.
        clock: The time.
        back: The address that it sends people back to.
    """

    def __init__(self, settings: Oidc, clock: Clock, back: str) -> None:
        self._settings, self._clock, self._back = settings, clock, back
        self._about: tuple[datetime, dict[str, Any]] | None = None
        self._keys: Any = None

    def address(self, asking: Asking) -> str:
        """Where to send somebody to log in.

        Raises:
            Unreachable: the provider does not say.
        """
        with self._client() as client:
            endpoint = self._described(client)["authorization_endpoint"]
            told = {"state": asking.state, "nonce": asking.nonce, "code_verifier": asking.verifier}
            return str(client.create_authorization_url(endpoint, **told)[0])

    def claims(self, code: str, asking: Asking) -> Mapping[str, Any]:
        """Who it is, by the code that somebody came back with.

        Raises:
            Unreachable: the provider gives no answer that can be read.
            Unbelieved: the code or what it brought is no good.
        """
        from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped] # it has no types
        from requests import RequestException

        with self._client() as client:
            about = self._described(client)
            try:
                given = client.fetch_token(
                    about["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=asking.verifier,
                    allow_redirects=False,
                )
            except OAuthError as error:
                raise Unbelieved(f"code refused: {error.error}") from None
            except (RequestException, ValueError, RecursionError) as error:
                raise Unreachable(f"token: {type(error).__name__}") from None
            return self._believed(client, about, given, asking.nonce)

    def _client(self) -> Any:
        from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped] # it has no types

        return OAuth2Session(
            self._settings.client_id,
            secret(self._settings.secret_env) or None,
            scope=" ".join(self._settings.scopes),
            redirect_uri=self._back,
            code_challenge_method="S256",
            default_timeout=_TIMEOUT,
        )

    def _described(self, client: Any) -> dict[str, Any]:
        now = self._clock.now()
        if self._about is None or not timedelta() <= now - self._about[0] < _KEPT:
            about = _fetched(client, f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if about.get("issuer") != self._settings.issuer:
                raise Unreachable(f"discovery: it calls itself {about.get('issuer')!r}")
            if not all(safe(about.get(name)) for name in _ENDPOINTS):
                raise Unreachable("discovery: an endpoint is missing or not https")
            self._about, self._keys = (now, about), None
        return self._about[1]

    def _believed(
        self, client: Any, about: Mapping[str, Any], given: Mapping[str, Any], nonce: str
    ) -> Mapping[str, Any]:
        from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped] # it has no types
        from joserfc.errors import JoseError

        token = self._signed(client, about["jwks_uri"], given.get("id_token"))
        must = {"iss": self._settings.issuer, "aud": self._settings.client_id}
        claims = CodeIDToken(
            token.claims,
            token.header,
            {name: {"essential": True, "value": value} for name, value in must.items()},
            {"nonce": nonce, "client_id": self._settings.client_id, "access_token": given.get("access_token")},
        )
        try:
            claims.validate(int(self._clock.now().timestamp()), _LEEWAY)
        except (JoseError, ValueError, TypeError) as error:
            raise Unbelieved(f"id token: {error}") from None
        return dict(claims)

    def _signed(self, client: Any, address: str, token: object) -> Any:
        """The ID token, whose signature is the provider's; a key we do not know may be a new one of its."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        if not isinstance(token, str):
            raise Unbelieved("no id token")
        for again in (self._keys is None, True):
            if again:
                self._keys = _keys(_fetched(client, address))
            try:
                return jwt.decode(token, self._keys, algorithms=_ALGORITHMS)
            except (JoseError, ValueError, TypeError, RecursionError) as error:
                refused = error
        raise Unbelieved(f"signature: {refused}")


def _fetched(client: Any, address: str) -> dict[str, Any]:
    from requests import RequestException

    try:
        answer = client.get(address, withhold_token=True, allow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
    except (RequestException, ValueError, RecursionError) as error:
        raise Unreachable(f"{address}: {type(error).__name__}") from None
    if answer.status_code != 200 or not isinstance(found, dict):  # noqa: PLR2004 — a redirect is no answer
        raise Unreachable(f"{address}: HTTP {answer.status_code}")
    return found


def _keys(found: Mapping[str, Any]) -> Any:
    """The keys that sign; those of other kinds and uses are left out."""
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, KeySet, RSAKey

    kinds: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey}
    keys = []
    shown = found.get("keys")
    for one in shown if isinstance(shown, list) else ():
        try:
            if one["kty"] in kinds and one.get("use", "sig") == "sig":
                keys.append(kinds[one["kty"]].import_key(one))
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue  # a key that cannot be read signs nothing that we believe
    return KeySet(keys)

"""crawler.bases.tokens: signatures that others can verify, and what is said of a key that is none."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from stores import apple_key, es256_holds, google_key, parts, pem, rs256_holds, unpacked

from crawler.bases.base import AttentionError
from crawler.bases.tokens import jwt

PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
POINT = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
ES256 = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
MODULUS = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs"
    "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
    "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
)
RS256 = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ"
    "cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-e"
    "OkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)


def test_our_verification_agrees_with_the_published_examples() -> None:
    """RFC 7515, A.2 and A.3: what verifies our tokens in these tests is right; a bit more or less is refused."""
    x, y = (int.from_bytes(unpacked(part), "big") for part in POINT)
    point = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    assert es256_holds(f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{ES256}", point)
    assert not es256_holds(f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.E{ES256[1:]}", point)
    modulus = int.from_bytes(unpacked(MODULUS), "big")
    assert rs256_holds(f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{RS256}", modulus, 65537)
    assert not rs256_holds(f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}x.{RS256}", modulus, 65537)


def test_a_token_holds_what_was_claimed_and_verifies() -> None:
    """Both ways of signing; the numbers of ES256 keep their leading zeros, so the signature has 64 bytes each time."""
    claims = {"iss": "我", "exp": 1_800_000_000}
    for _ in range(40):
        token = jwt(claims, pem(apple_key()), "ES256", "KEY", "k7")
        assert es256_holds(token, apple_key().public_key())
    assert parts(token) == ({"alg": "ES256", "typ": "JWT", "kid": "k7"}, claims)
    numbers = google_key().public_key().public_numbers()
    token = jwt(claims, pem(google_key()), "RS256", "KEY")
    assert rs256_holds(token, numbers.n, numbers.e)
    assert parts(token)[0] == {"alg": "RS256", "typ": "JWT"}
    assert "=" not in token


def test_a_key_on_one_line_is_a_key() -> None:
    """Environment files often cannot hold line ends."""
    line = pem(apple_key()).replace("\n", "\\n")
    assert es256_holds(jwt({}, line, "ES256", "KEY"), apple_key().public_key())


def test_a_key_that_is_none_is_named_and_not_shown() -> None:
    """Words, a key of the other kind, another curve, an encrypted or a cut-off one: a person must act."""
    other = ec.generate_private_key(ec.SECP384R1())
    edwards = ed25519.Ed25519PrivateKey.generate()
    keys = [
        "no key at all",
        "",
        pem(google_key()),
        pem(other),
        pem(apple_key())[:120],
        json.dumps({"private_key": "x"}),
    ]
    keys.append(edwards.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    for key in keys:
        with pytest.raises(AttentionError, match="环境变量 KEY") as caught:
            jwt({}, key, "ES256", "环境变量 KEY")
        assert not key or key not in str(caught.value)
    with pytest.raises(AttentionError, match="RS256"):
        jwt({}, pem(apple_key()), "RS256", "KEY")

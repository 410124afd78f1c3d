"""JSON Web Tokens (RFC 7519) for platforms that want signed calls: ES256 and RS256 with a private key in PEM."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Literal

from crawler.bases.base import AttentionError

Algorithm = Literal["ES256", "RS256"]
_HALF = 32  # bytes of each of the two numbers of an ES256 signature


def jwt(claims: Mapping[str, Any], pem: str, algorithm: Algorithm, where: str, key_id: str = "") -> str:
    """A signed token.

    Args:
        claims: ``iss``, ``iat``, ``exp`` …; times in epoch seconds.
        pem: The private key; line ends may be written as a backslash and an n, as environment files do.
        algorithm: How to sign.
        where: What holds the key, for the message.
        key_id: The key's id, where the platform gives it one.

    Raises:
        AttentionError: It is no private key for this algorithm.
    """
    header = {"alg": algorithm, "typ": "JWT"} | ({"kid": key_id} if key_id else {})
    told = f"{_packed(header)}.{_packed(claims)}"
    return f"{told}.{_base64(_signature(told.encode(), pem.replace(chr(92) + 'n', chr(10)), algorithm, where))}"


def _packed(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _signature(told: bytes, pem: str, algorithm: Algorithm, where: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AttentionError(f"{where}：不是 PEM 格式的私钥（应以 -----BEGIN PRIVATE KEY----- 开头）") from error
    if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        numbers = utils.decode_dss_signature(key.sign(told, ec.ECDSA(SHA256())))
        return b"".join(number.to_bytes(_HALF, "big") for number in numbers)
    if algorithm == "RS256" and isinstance(key, rsa.RSAPrivateKey):
        return key.sign(told, padding.PKCS1v15(), SHA256())
    raise AttentionError(f"{where}：私钥不是 {algorithm} 用的（{'P-256 椭圆曲线' if algorithm == 'ES256' else 'RSA'}）")

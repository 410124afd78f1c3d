"""Sealed callbacks: AES-256-CBC as Feishu and WeCom use it, and WeCom's signed envelope around it.

WeCom's: the key is 43 letters of base64, its first half the vector; inside are 16 random bytes, the length, the message
and for whom it is; signed is the SHA-1 of the token, time, nonce and sealed text, sorted.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

_KEY = 32  # bytes of the key, and of WeCom's blocks
_VECTOR = 16
_RANDOM, _LENGTH = 16, 4


def unsealed(key: bytes, vector: bytes, sealed: bytes, block: int) -> bytes | None:
    """The plain text; None where this key does not open it.

    Args:
        key: 32 bytes.
        vector: 16 bytes.
        sealed: Whole blocks.
        block: Bytes that PKCS#7 pads to: 16, or WeCom's 32.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if not sealed or len(sealed) % _VECTOR:
        return None
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    padded = cipher.update(sealed) + cipher.finalize()
    size = padded[-1]
    if not 1 <= size <= min(block, len(padded)) or padded[-size:] != bytes([size]) * size:
        return None
    return padded[:-size]


@dataclass(frozen=True, slots=True)
class Envelope:
    """How one app's callbacks are sealed.

    Attributes:
        token: What signs.
        letters: The key, as the provider shows it.
        owner: For whom its messages are: the company's id.
    """

    token: str
    letters: str
    owner: str

    def signed(self, signature: str, stamp: str, nonce: str, sealed: str) -> bool:
        """Whether the provider signed this."""
        expected = hashlib.sha1("".join(sorted((self.token, stamp, nonce, sealed))).encode("utf-8", "replace"))  # noqa: S324 — the provider's
        return hmac.compare_digest(expected.hexdigest().encode(), signature.encode("utf-8", "replace"))

    def opened(self, sealed: str) -> bytes | None:
        """What is inside; None where it is sealed with another key, or meant for somebody else."""
        try:
            key = base64.b64decode(f"{self.letters}=", validate=True)
            inside = unsealed(key, key[:_VECTOR], base64.b64decode(sealed, validate=True), _KEY)
        except (ValueError, binascii.Error):
            return None
        if inside is None or len(inside) < _RANDOM + _LENGTH:
            return None
        end = _RANDOM + _LENGTH + int.from_bytes(inside[_RANDOM : _RANDOM + _LENGTH], "big")
        if not hmac.compare_digest(inside[end:], self.owner.encode()):
            return None
        return inside[_RANDOM + _LENGTH : end]

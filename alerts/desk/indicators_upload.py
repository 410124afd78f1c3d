"""A form with a file, as browsers send it (RFC 7578)."""

import re
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePosixPath
from typing import Self

from fastapi import HTTPException

_PARTS = 20
_LONGEST = 60  # characters of a name
_NAME = re.compile(r'\bname="([^"]*)"')
_FILE = re.compile(r'\bfilename="([^"]*)"')
_ODD = re.compile(r"[^\w.() -]")


@dataclass(frozen=True, slots=True)
class Upload:
    """What was sent.

    Attributes:
        fields: The form's other fields.
        name: What the file is called, without folders and odd characters.
        file: Its bytes; empty where none was chosen.
    """

    fields: dict[str, str]
    name: str
    file: bytes

    @classmethod
    def of(cls, body: bytes, kind: str) -> Self:
        """Out of a body of that content type.

        Raises:
            HTTPException: 400, it is no such form.
        """
        header = Message()
        header["Content-Type"] = kind
        boundary = header.get_boundary()
        if header.get_content_type() != "multipart/form-data" or not boundary:
            raise HTTPException(400, "没有看懂这个请求。")
        pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "surrogateescape"))
        if len(pieces) > _PARTS + 2 or pieces[-1][:2] != b"--":  # what comes before the first, and the end
            raise HTTPException(400, "没有看懂这个请求。")
        fields: dict[str, str] = {}
        name, file = "", b""
        for piece in pieces[1:-1]:
            head, _, content = piece.partition(b"\r\n\r\n")
            told = head.decode("utf-8", "replace")
            field, called = _NAME.search(told), _FILE.search(told)
            if called and not file:
                name, file = called[1], content
            elif field:
                fields[field[1]] = content.decode("utf-8", "replace")
        return cls(fields, _plain(name), file)


def _plain(name: str) -> str:
    """A name that any folder takes; the end of a long one is what tells its kind."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return _ODD.sub("_", last)[-_LONGEST:].lstrip(".") or "table"

"""Files that are made to hurt: bombs, entities, paths, code, in workbooks and weights; and WeCom's XML."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from crawler_factories import NOW, ZONE
from fuzzing import peak

from alerts.desk import wecom
from crawler.bases.base import SourceError
from crawler.bases.files import read_file
from monitor import tables


def book(**changed: bytes) -> bytes:
    """An XLSX with two rows of reviews in which parts say something else; dots and slashes are spelt out."""
    out, sheet = io.BytesIO(), openpyxl.Workbook()
    assert sheet.active is not None
    for row in (["评价内容", "评分"], ["漏水", 1]):
        sheet.active.append(row)
    sheet.save(out)
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in (parts | changed).items():
            archive.writestr(name, body)
    return out.getvalue()


def tried(tmp_path: Path, body: bytes) -> list[Any]:
    """What is read of an XLSX."""
    file = tmp_path / "a.xlsx"
    file.write_bytes(body)
    return list(read_file(file, "auto", ZONE, NOW))


@pytest.mark.parametrize(
    "part", ["xl/styles.xml", "xl/workbook.xml", "[Content_Types].xml", "xl/_rels/workbook.xml.rels"]
)
def test_a_bomb_in_a_part_that_is_read_whole(tmp_path: Path, part: str) -> None:
    """Thirty megabytes of nothing in a style sheet are refused before they are unpacked; the part is named."""
    before = peak()
    with pytest.raises(SourceError, match="30 MB，不像是导出的表"):
        tried(tmp_path, book(**{part: b"<a>" + b" " * (30 << 20) + b"</a>"}))
    assert peak() - before < 100


def test_rows_that_reach_far_to_the_right_stay_small(tmp_path: Path) -> None:
    """A value in the last column of each of a hundred thousand rows would be gigabytes of empty cells."""
    rows = b"".join(b'<row><c r="XFD%d"><v>1</v></c></row>' % n for n in range(1, 100_000))
    before = peak()
    with pytest.raises(SourceError, match="损坏"):
        tried(
            tmp_path,
            book(**{"xl/worksheets/sheet1.xml": b"<worksheet><sheetData>" + rows + b"</sheetData></worksheet>"}),
        )
    assert peak() - before < 100


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
DOCTYPE = b'<!DOCTYPE x [<!ENTITY l0 "ha"><!ENTITY f SYSTEM "file:///etc/passwd">' + LAUGHS + b"]>"


@pytest.mark.parametrize("part", ["xl/styles.xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"])
@pytest.mark.parametrize("entity", [b"&l11;", b"&f;"])
def test_entities_in_a_workbook_are_not_followed(tmp_path: Path, part: str, entity: bytes) -> None:
    """Neither the laughs nor a file of this machine; the table is refused, or read without them."""
    with zipfile.ZipFile(io.BytesIO(book())) as archive:
        plain = archive.read(part)
    head, _, rest = plain.partition(b"?>") if plain.startswith(b"<?xml") else (b"", b"", plain)
    body = (head + b"?>" if head else b"") + DOCTYPE + re.sub(rb">", b">" + entity, rest, count=1)
    before = peak()
    try:
        said = repr(tried(tmp_path, book(**{part: body})))
    except SourceError as error:
        said = str(error)
    assert "root:" not in said
    assert "haha" not in said
    assert peak() - before < 100


def test_wecoms_door_takes_no_document_type() -> None:
    """An envelope that declares anything is no envelope."""
    for body in (DOCTYPE + b"<xml><Encrypt>&l11;</Encrypt></xml>", b"<!DOCTYPE x><xml><Encrypt>a</Encrypt></xml>"):
        with pytest.raises(wecom.HTTPException) as told:
            wecom.fields(body)
        assert told.value.status_code == 400


def test_paths_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    """What an XLSX calls its parts is never a place on the disk."""
    inside = tmp_path / "in"
    inside.mkdir()
    read = tried(inside, book(**{"../../evil.txt": b"x", "/etc/evil": b"x", "..\\evil": b"x"}))
    assert len(read) == 2
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.xlsx", "in"]


def test_weights_that_unpack_to_gigabytes(tmp_path: Path) -> None:
    """They are refused by what their archive says, before anything is unpacked."""
    file = tmp_path / "w.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("meta.npy", "w") as part:
        for _ in range(600):
            part.write(bytes(1 << 20))
    before = peak()
    with pytest.raises(tables.WeightsError, match="600 MB"):
        tables.load(file)
    assert peak() - before < 100


def test_weights_never_run_code(tmp_path: Path) -> None:
    """A pickled object in them is refused, not loaded."""
    file = tmp_path / "w.npz"
    np.savez(file, meta=np.array([Evil()], dtype=object))
    with pytest.raises(tables.WeightsError, match="allow_pickle"):
        tables.load(file)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("loaded",))

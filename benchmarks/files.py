"""How fast exports are read, and within how much memory: parsing only, then a whole import with scoring.

    .venv/bin/python benchmarks/files.py [--rows 1000000] [--imported 100000]

The XLSX is written as Excel writes it: texts shared between cells, one sheet. Every figure is of a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

from intake import import_once, write_export

HERE = Path(__file__).parent
PARSE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo
from crawler.bases.files import read_file
from crawler.items import FeedbackItem
begun = time.perf_counter()
rows = read_file(Path(sys.argv[1]), "auto", ZoneInfo("Asia/Shanghai"), datetime.now(UTC))
count = sum(isinstance(row, FeedbackItem) for row in rows)
seconds = time.perf_counter() - begun
# what getrusage tells would include the memory of the process that started this one
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(count, seconds, int(peak.split()[1]) / 1024)
"""
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KINDS = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{KINDS}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{KINDS}.worksheet+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{KINDS}.sharedStrings+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">'
    '<sheets><sheet name="评价" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
}


def write_xlsx(source: Path, file: Path) -> None:
    """A CSV as Excel would save it."""
    import csv

    texts: dict[str, int] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, body in PARTS.items():
            archive.writestr(name, body)
        with (
            source.open(encoding="utf-8", newline="") as lines,
            archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as out,
        ):
            out.write(f'<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            for number, row in enumerate(csv.reader(lines), 1):
                cells = (
                    f'<c r="{column}{number}" t="s"><v>{texts.setdefault(cell, len(texts))}</v></c>'
                    for column, cell in zip("ABCDEFGHIJ", row, strict=False)
                )
                out.write(f'<row r="{number}">{"".join(cells)}</row>'.encode())
            out.write(b"</sheetData></worksheet>")
        with archive.open("xl/sharedStrings.xml", "w", force_zip64=True) as out:
            out.write(f'<sst xmlns="{MAIN}">'.encode())
            for text in texts:
                out.write(f"<si><t>{escape(text)}</t></si>".encode())
            out.write(b"</sst>")


def parsed(file: Path) -> str:
    """Rows, seconds and peak memory of reading a file."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(file)], capture_output=True, text=True, check=True, cwd=HERE.parent
    )
    count, seconds, peak = done.stdout.split()
    rate = int(count) / float(seconds)
    return f"{int(count):,} rows in {float(seconds):.0f} s = {rate:,.0f} rows/s, peak memory {float(peak):.0f} MB"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--imported", type=int, default=100_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_export(folder / "a.csv", given.rows)
        print(f"parse CSV    {parsed(folder / 'a.csv')}")
        if given.imported:
            write_export(folder / "b.csv", given.imported)
            ledger, seconds, peak = import_once(folder, folder / "b.csv", "sqlite:///pingshao.db")
            counts = json.dumps({name: ledger["sources"][0][name] for name in ("seen", "new", "skipped")})
            rate = given.imported / seconds
            print(f"import CSV   {counts} in {seconds:.0f} s = {rate:,.0f} rows/s, peak memory {peak:.0f} MB")
        write_xlsx(folder / "a.csv", folder / "a.xlsx")
        print(f"parse XLSX   {parsed(folder / 'a.xlsx')}")


if __name__ == "__main__":
    main()

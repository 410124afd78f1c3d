"""What comes with the program: licences that go with ours, a whole bill of materials, an honest audit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import supply
from golden import check
from pytest_httpserver import HTTPServer

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "licences.md"


def page() -> str:
    """The licences as people read them."""
    rows = "".join(f"| {one.name} | {one.licence} |\n" for one in supply.parts().values() if one.name != supply.NAME)
    reasons = "".join(f"- `{name}`: {why}.\n" for name, why in supply.ALLOWED.items() if why)
    return (
        "# Licences\n\n评哨 is under Apache-2.0. What is installed with it and its extras "
        f"{', '.join(f'`{extra}`' for extra in supply.EXTRAS)}, on Linux with Python 3.11:\n\n| package | licence |\n"
        f"|---|---|\n{rows}\nNot plain at first sight, and all right:\n\n{reasons}"
    )


def test_every_licence_goes_with_ours(request: pytest.FixtureRequest) -> None:
    """None is unknown or asks for more than naming it, and the page lists them all."""
    refused = {one.name: one.refused for one in supply.parts().values() if one.refused}
    assert not refused
    check(request, str(PAGE), page())


def test_the_bill_of_materials_is_whole(tmp_path: Path) -> None:
    """Each package that comes with the program is in it, at the version that is pinned, and what it needs too."""
    file = tmp_path / "sbom.json"
    subprocess.run([sys.executable, supply.__file__, "sbom", str(file)], check=True)
    bill = json.loads(file.read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "pingshao")
    held = {one["name"]: one["version"] for one in bill["components"]}
    assert len(held) > 100
    assert {name: supply.pinned().get(name) for name in held} == held
    refs = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in bill["dependencies"]} == refs
    assert all(set(one["dependsOn"]) <= refs for one in bill["dependencies"])
    direct = next(one for one in bill["dependencies"] if one["ref"].startswith("pkg:pypi/pingshao@"))
    assert {"scrapy", "sqlmodel", "procrastinate", "authlib"} <= {
        ref[9:].partition("@")[0] for ref in direct["dependsOn"]
    }
    assert bill == supply.sbom(), "made twice, it is the same"


@pytest.mark.parametrize("holes", [0, 1])
def test_the_audit_tells_holes(httpserver: HTTPServer, capsys: pytest.CaptureFixture[str], holes: int) -> None:
    """One request for all pinned packages; a known hole is named and fails."""
    many = len(supply.pinned())
    results = [{"vulns": [{"id": "PYSEC-1"}]}] * holes + [{}] * (many - holes)
    httpserver.expect_request("/q").respond_with_json({"results": results})
    assert supply.audit(httpserver.url_for("/q")) == holes
    said = capsys.readouterr().out
    assert ("PYSEC-1" in said, f"{many} packages asked about" in said) == (bool(holes), True)
    assert len(json.loads(httpserver.log[0][0].data)["queries"]) == many


@pytest.mark.parametrize("answer", ["nobody", "cut", "other", "404"])
def test_an_audit_that_asked_nobody_says_so(
    httpserver: HTTPServer, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    """It is no failure and no pass: it says plainly that nothing was checked."""
    if answer == "cut":
        httpserver.expect_request("/q").respond_with_json({"results": [{}]})
    elif answer == "other":
        httpserver.expect_request("/q").respond_with_data("<html>")
    url = "http://127.0.0.1:9/q" if answer == "nobody" else httpserver.url_for("/q")
    assert supply.audit(url) == 0
    assert "NOT CHECKED" in capsys.readouterr().out

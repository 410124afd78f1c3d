"""The threat model names tests that exist, and every parser of outside input is fuzzed or tested by name."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")


def test_the_proofs_exist() -> None:
    """Each test that the page names is there to be run."""
    told = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name
        for file in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(r"(?m)^(?:async )?def (test_\w+)\(", file.read_text("utf-8"))
    }
    assert len(told) > 40
    assert not told - there


def test_every_claim_has_its_proof() -> None:
    """A row of the tables of doors and of what goes out ends in the names of tests."""
    rows = [line for line in PAGE.partition("## Doors")[2].splitlines() if line.startswith("| ")]
    claims = [row for row in rows if not re.match(r"\| (?:door|what) \|", row)]
    assert len(claims) > 15
    assert not [row for row in claims if "`test_" not in row.rstrip(" |").rpartition("|")[2]]

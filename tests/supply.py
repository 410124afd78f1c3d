"""What the program is made of: licences of what is installed with it, a bill of materials, known holes.

python tests/supply.py sbom FILE    # CycloneDX, as JSON
python tests/supply.py audit        # asks osv.dev about every pinned package; says so where it cannot be asked
"""

import json
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
NAME = "pingshao"
EXTRAS = ("apprise", "oidc", "scale")
"""What people may install beside the program; the others are for those who work on it."""
_OSV = "https://api.osv.dev/v1/querybatch"

ALLOWED = {
    "0BSD": "", "Apache-2.0": "", "BSD": "", "BSD-2-Clause": "", "BSD-3-Clause": "", "CC0-1.0": "", "ISC": "",
    "MIT": "", "MIT-0": "", "MIT-CMU": "", "PSF-2.0": "", "W3C": "", "Zlib": "", "ZPL-2.1": "",
    "LGPL-3.0-only": "a library that stays apart and may be replaced; unchanged, it asks nothing of whoever uses it",
    "MPL-2.0": "asks for its own files only, which are unchanged",
    "OFL-1.1": "a font, which may be shipped with any software",
}  # fmt: skip
"""Licences that go with Apache-2.0, and why where that is not plain."""
_SAID = {
    "apache 2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0",
    "mit license": "MIT", "bsd license": "BSD", "isc license": "ISC", "isc license (iscl)": "ISC", "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0", "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "w3c license": "W3C", "sil open font license 1.1 (ofl-1.1)": "OFL-1.1",
}  # fmt: skip
"""How packages say it that do not say it by SPDX."""


@dataclass(frozen=True, slots=True)
class Part:
    """A package that is installed with the program.

    Attributes:
        licence: By SPDX where it is known, else as it says.
        needs: Names of the packages it needs itself.
    """

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its address in the bill."""
        return f"pkg:pypi/{self.name}@{self.version}"

    @property
    def refused(self) -> list[str]:
        """Licences of its that are not allowed."""
        return [word for word in re.split(r"\s+(?:AND|OR)\s+|[()]", self.licence) if word and word not in ALLOWED]


def parts() -> dict[str, Part]:
    """The program and everything that comes with it and its extras on this machine, by name."""
    found: dict[str, Part] = {}
    waiting, seen = [(NAME, EXTRAS)], set[tuple[str, tuple[str, ...]]]()
    while waiting:
        name, extras = asked = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # a test names what is pinned and not there
        needs = list(_needs(package, extras))
        before = found[canonicalize_name(name)].needs if canonicalize_name(name) in found else ()
        names = tuple(sorted({*before, *(canonicalize_name(one) for one, _ in needs)}))
        found[canonicalize_name(name)] = Part(canonicalize_name(name), package.version, licence(package), names)
        waiting += needs
    return dict(sorted(found.items()))


def _needs(package: Distribution, extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in package.requires or ():
        one = Requirement(line)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield one.name, tuple(sorted(one.extras))


def licence(package: Distribution) -> str:
    """A package's licence: its SPDX expression, else what it says in a word, else by its classifiers."""
    told = package.metadata
    if told.get("License-Expression"):
        return str(told["License-Expression"])
    classified = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or () if one.startswith("License ::")]
    for said in (told.get("License") or "", *(one for one in classified if one != "OSI Approved")):
        word = _SAID.get(said.strip().lower(), said.strip())
        if word in ALLOWED:
            return word
    return ", ".join(classified) or (told.get("License") or "unknown").strip().splitlines()[0]


def pinned() -> dict[str, str]:
    """Versions that constraints.txt holds for this machine and Python, by name."""
    lines = map(Requirement, (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    here = (one for one in lines if one.marker is None or one.marker.evaluate())
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in here}


def sbom() -> dict[str, Any]:
    """A bill of materials, CycloneDX 1.6; the same for the same packages."""
    found = parts()
    own = found[NAME]
    bill = json.dumps([(one.purl, one.licence) for one in found.values()])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, bill)}",
        "version": 1,
        "metadata": {"component": _component(own) | {"type": "application"}},
        "components": [_component(one) for one in found.values() if one != own],
        "dependencies": [
            {"ref": one.purl, "dependsOn": [found[name].purl for name in one.needs if name in found]}
            for one in found.values()
        ],
    }


def _component(part: Part) -> dict[str, Any]:
    told = {"type": "library", "bom-ref": part.purl, "name": part.name, "version": part.version, "purl": part.purl}
    if part.licence == "BSD" or part.refused:
        return told | {"licenses": [{"license": {"name": part.licence}}]}
    return told | {"licenses": [{"expression": part.licence}]}


def audit(url: str = _OSV) -> int:
    """Ask about every pinned package; 0 where none has a known hole, or where nobody could be asked, which is said."""
    asked = list(pinned().items())
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in asked]
    request = Request(url, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"})  # noqa: S310 — a fixed https address
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310 — the same
            results = json.load(answer)["results"]
        found = [
            (part, [one["id"] for one in said.get("vulns", ())]) for part, said in zip(asked, results, strict=True)
        ]
    except (URLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stdout.write(f"audit: NOT CHECKED, {len(asked)} packages: {url} cannot be asked ({error})\n")
        return 0
    holes = [f"{name}=={version}: {', '.join(ids)}\n" for (name, version), ids in found if ids]
    sys.stdout.write("".join(holes) + f"audit: {len(asked)} packages asked about, {len(holes)} with known holes\n")
    return 1 if holes else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["sbom"]:
        Path(sys.argv[2]).write_text(json.dumps(sbom(), indent=1) + "\n", encoding="utf-8")
    elif sys.argv[1:] == ["audit"]:
        sys.exit(audit())
    else:
        sys.exit(__doc__)

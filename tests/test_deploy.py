"""What ``deploy/docker`` builds the image from is what the project is made of; no test has an engine to build with."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "deploy" / "docker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_image_is_built_from_the_whole_package() -> None:
    """A package left out of the Dockerfile or of what Docker is sent is missing in the image, or breaks its build."""
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    needed = {*wheel, "pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    recipe = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"(?m)^COPY (?!--)(.+) \S+$", recipe) for name in line.split()}
    sent = set(re.findall(r"(?m)^!(\S+)$", (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8")))
    assert needed <= copied <= sent


def test_the_images_extras_exist() -> None:
    """pip only warns of an extra that is not there: sign-in or workers would be missing when they are wanted."""
    wanted = re.search(r"'\.\[(.+)\]'", (DOCKER / "Dockerfile").read_text(encoding="utf-8"))
    assert wanted is not None
    assert set(wanted[1].split(",")) <= set(PROJECT["project"]["optional-dependencies"])

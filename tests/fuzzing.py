"""Fuzzing: every parser of outside input as a target, which must neither fail, nor hang, nor fill the memory.

    python tests/fuzzing.py [--seconds N] [NAME ...]

A target takes bytes and says nothing; the errors that a parser promises it takes itself. Its seeds lie under
``fixtures/fuzz/<name>/``, and what once broke it too, as ``found-*``; atheris goes on from there. The suite replays
them (``test_fuzz.py``) and damages them a little.
"""

import argparse
import gc
import hashlib
import json
import operator
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

CORPUS = Path(__file__).parent / "fixtures" / "fuzz"
SECONDS = 1.0  # of the processor's time for one input
MEGABYTES = 200  # by which the process may grow
_LONGEST = 16_384  # bytes of an input that atheris makes
_STUCK = 30  # seconds of the clock after which an input counts as stuck, whatever it waits for

Run = Callable[[bytes], None]


class Finding(Exception):
    """An input took too long, or too much."""


@dataclass(frozen=True)
class Target:
    """A parser to be fuzzed.

    Attributes:
        name: Also its folder's.
        run: Gives it an input.
        shape: ``json`` where values are worth exchanging.
        seeds: More than lie in its folder.
    """

    name: str
    run: Run
    shape: str = ""
    seeds: Callable[[], list[bytes]] = field(default=list)

    def corpus(self) -> list[bytes]:
        """Its seeds, and what once broke it."""
        return [file.read_bytes() for file in sorted((CORPUS / self.name).glob("*"))] + self.seeds()


TARGETS: dict[str, Target] = {}


def target(shape: str = "", seeds: Callable[[], list[bytes]] = list) -> Callable[[Run], Run]:
    """Make a function of bytes a target under its own name."""

    def add(run: Run) -> Run:
        TARGETS[run.__name__] = Target(run.__name__, run, shape, seeds)
        return run

    return add


def bounded(run: Run, data: bytes, floor: int) -> None:
    """Give an input to a target, within the limits.

    Args:
        run: The target.
        data: The input.
        floor: What ``peak`` said before.

    Raises:
        Finding: It took too long, twice, or too much.
    """
    for again in (True, False):  # what is imported or built once is not the input's fault
        begun = time.process_time()
        run(data)
        took = time.process_time() - begun
        if took <= SECONDS:
            break
        if not again:
            raise Finding(f"{took:.1f} s for {len(data)} bytes")
    if (grown := peak() - floor) > MEGABYTES:
        raise Finding(f"{grown} MB more for {len(data)} bytes")


def peak() -> int:
    """The most memory that this process ever held, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", " ", "\x00", "\ud800", "١", "１２",
    "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+08:00", "9" * 5000, "a" * 3000, "=1+1", "<p>", "{x}", "%s",
    "\u202e", [], {}, [[]], {"": ""}, [None] * 50,
)  # fmt: skip
_SPLICES = (
    b"\x00", b"\xff", b"\r\n", b"\xed\xa0\x80", b"<", b">", b"<!--", b"&#x110000;", b"&#0;", b"]]>", b'"', b"\\", b"'",
    b"{", b"}" * 40, b"[" * 3000, b"(" * 500, b"<b>" * 2000, b"9" * 500, b"-", b"1e999", b"\xe2\x80\xae", b"%",
    b" " * 3000, b"a@" * 800, b"1" * 3000, b"\xe4\xb8\x87", b"\xe4\xb8\x8d" * 800, b",", b";", b"\t",
)  # fmt: skip


def damaged(data: bytes, shape: str, rng: random.Random) -> bytes:
    """An input with something in it exchanged, by meaning where it is JSON, else by bytes."""
    if shape == "json" and rng.random() < 0.7:
        prefix = re.match(rb"[^{\[]{0,60}", data)
        start = prefix.end() if prefix else 0
        try:
            value = _exchanged(json.loads(data[start:]), rng)
            return data[:start] + json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            pass
    at = rng.randrange(len(data) + 1)
    to = min(len(data), at + rng.choice((0, 0, 1, 2, 8, 64, 1000)))
    piece = rng.choice((*_SPLICES, data[to : to + 200], rng.randbytes(3)))
    return data[:at] + piece * rng.choice((1, 1, 1, 5)) + data[to:]


def _exchanged(value: Any, rng: random.Random) -> Any:
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    if not inner or rng.random() < 0.15:
        return rng.choice((*_ODD, [value], [value] * 3))
    key, old = rng.choice(inner)
    if isinstance(value, dict) and rng.random() < 0.1:
        return {name: one for name, one in value.items() if name != key}
    changed = value.copy()
    changed[key] = _exchanged(old, rng)
    return changed


def known() -> dict[str, Target]:
    """All targets."""
    import fuzz_desk
    import fuzz_doors
    import fuzz_files
    import fuzz_sites

    assert {fuzz_desk, fuzz_doors, fuzz_files, fuzz_sites}
    return TARGETS


def _home(name: str) -> str:
    """The module of a target: importing no more saves a minute of instrumenting."""
    files = Path(__file__).parent.glob("fuzz_*.py")
    return next(file.stem for file in files if f"\ndef {name}(" in file.read_text(encoding="utf-8"))


def _fuzz(name: str, folder: Path, seconds: int) -> None:
    """In a process of its own: atheris does not come back."""
    import logging

    import atheris
    import structlog

    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    logging.disable()
    packages = ["crawler", "monitor", "alerts", "feedparser", "extruct", "mf2py", "w3lib", "parsel"]
    with atheris.instrument_imports(include=packages, enable_loader_override=False):
        import_module(_home(name))
    one = TARGETS[name]
    floor = _warm(one)

    def run(data: bytes) -> None:
        _free(atheris)
        bounded(one.run, data, floor)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        return (damaged(data, one.shape, rng) if rng.random() < 0.5 else atheris.Mutate(data, most))[:most]

    limits = [f"-max_total_time={seconds}", f"-timeout={_STUCK}", "-rss_limit_mb=0", f"-max_len={_LONGEST}"]
    where = [f"-artifact_prefix={folder}/found-", "-report_slow_units=3600", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup(["fuzz", *limits, *where, str(folder / "corpus")], run, custom_mutator=mutated)
    atheris.Fuzz()


_TRACED = frozenset({int, str, bytes})  # what libFuzzer learns from
_COMPARED = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)  # by their numbers in C


def _free(atheris: Any) -> None:
    """Let atheris' tracing of comparisons hold no more than ours: it never frees what they give, be it an array."""
    trace = atheris._trace_cmp  # which it exchanges for its own once more when it begins
    if isinstance(trace, FunctionType):
        return

    def traced(left: Any, right: Any, number: int, *told: Any) -> Any:
        if type(left) in _TRACED and type(right) in _TRACED:
            return trace(left, right, number, *told)
        return _COMPARED[number](left, right)

    atheris._trace_cmp = traced


def _warm(one: Target) -> int:
    """Give it all its seeds, so that everything is imported; gives the memory after that."""
    for data in one.corpus() or [b""]:
        one.run(data)
    gc.collect()
    gc.freeze()
    return peak()


def _session(one: Target, seconds: int) -> bool:
    """Fuzz a target for a while and say what came of it; what broke it is kept among its seeds."""
    with tempfile.TemporaryDirectory(prefix="pingshao-fuzz-") as there:
        folder = Path(there)
        (folder / "corpus").mkdir()
        for data in one.corpus():
            (folder / "corpus" / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
        command = [sys.executable, __file__, "--inside", there, "--seconds", str(seconds), one.name]
        begun = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        spent = time.monotonic() - begun
        found = sorted(folder.glob("found-*"))
        for file in found:
            name = hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()[:12]
            (CORPUS / one.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, CORPUS / one.name / f"found-{name}")
        runs = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
        _say(f"{one.name}: {spent:.0f} s, {runs[1] if runs else '?'} inputs, {'broken' if done.returncode else 'well'}")
        if done.returncode:
            said = (line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("INFO: "))
            _say("\n".join(said)[-4000:])
        return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Fuzz the targets named, or all, one after the other; 1 where one broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (%(default)s)")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.inside:
        _fuzz(told.names[0], told.inside, told.seconds)
    targets = known()
    if unknown := set(told.names) - set(targets):
        parser.error(f"no target {min(unknown)}; there are {', '.join(targets)}")
    well = [_session(targets[name], told.seconds) for name in told.names or targets]
    return int(not all(well))


if __name__ == "__main__":
    sys.modules["fuzzing"] = sys.modules["__main__"]  # the targets add themselves to the one that runs
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main())

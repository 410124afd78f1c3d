"""``/metrics``: what this process counted, and how the whole house is doing, as Prometheus reads it."""

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor.checkup import Checkup
from monitor.core import Core
from monitor.jobs import QUEUES
from monitor.vitals import Vitals

_CODES = ("database", "loops", "schedule", "timers", "outbox", "sources", "disk", "queue")
_UNSENT = ("pending", "sending", "uncertain", "dead")


class _House(Collector):
    """The house at one moment."""

    def __init__(self, core: Core, found: Checkup) -> None:
        self._core, self._found = core, found

    def collect(self) -> Iterable[Metric]:
        """All families; those of the store only where it could be read."""
        found, seen = self._found, {one.code for one in self._found.troubles}
        yield _gauge("ready", "1 while people can be told in time", [((), float(not found.unready))])
        yield _gauge("trouble", "1 while it is there", [((c,), float(c in seen)) for c in _CODES], "code")
        kind = self._core.engine.dialect.name
        yield _gauge("build_info", "Version and database", [((_version(), kind), 1.0)], "version", "database")
        if found.vitals is not None:
            yield from _families(self._core, found.vitals)


def _families(core: Core, now: Vitals) -> Iterator[Metric]:
    for name, says, value in (
        ("timers_overdue", "Timers that are due and did not fire", now.overdue),
        ("timer_lag_seconds", "How long the first of them", now.timer_lag.total_seconds()),
        ("report_lag_seconds", "How late a report is", now.reports[1].total_seconds()),
        ("crises_open", "Open crises", now.crises),
        ("cases_open", "Open cases", now.cases),
        (
            "intake_delay_seconds",
            "Of the last hour's feedback, the median from written to stored",
            now.delay.total_seconds(),
        ),
    ):
        yield _gauge(name, says, [((), float(value))])
    models = now.recent or {"": 0}
    told = [((model or "none",), float(count)) for model, count in models.items()]
    yield _gauge("feedback_recent", "Of the newest 1,000, those of the last hour, by who scored them", told, "model")
    yield from _sources(now)
    yield from _outbox(core, now)
    yield from _queue(now)
    disks = [((folder,), float(free)) for folder, free in now.disks.items()]
    yield _gauge("disk_free_bytes", "Room for files and, with SQLite, the store", disks, "folder")
    if core.settings.scoring.llm is not None:
        spent, resting = core.budget.standing()
        yield _gauge("llm_requests_today", "Requests to the scorer's endpoint", [((), float(spent))])
        yield _gauge("llm_resting", "1 while it is left alone after failures", [((), float(resting is not None))])


def _sources(now: Vitals) -> Iterator[Metric]:
    for name, says, value in (
        ("source_ok", "1 where the last run went well", lambda one: float(one.status in ("ok", "new"))),
        ("source_lag_seconds", "How late the next crawl is", lambda one: one.lag.total_seconds()),
        ("source_silent_seconds", "How late the next good crawl is", lambda one: one.silent.total_seconds()),
    ):
        yield _gauge(name, says, [((one.name, one.kind), value(one)) for one in now.sources], "source", "kind")


def _outbox(core: Core, now: Vitals) -> Iterator[Metric]:
    channels = {channel.name for channel in core.settings.channels} | {channel for channel, _ in now.waiting}
    told = [((name, state), float(now.waiting.get((name, state), 0))) for name in sorted(channels) for state in _UNSENT]
    yield _gauge("outbox_messages", "Messages that were not sent", told, "channel", "state")
    ages = [((name,), now.oldest[name].total_seconds() if name in now.oldest else 0.0) for name in sorted(channels)]
    yield _gauge("outbox_oldest_seconds", "How long the first that could have gone waits", ages, "channel")


def _queue(now: Vitals) -> Iterator[Metric]:
    told = [((queue,), float(now.backlog.waiting.get(queue, 0))) for queue in QUEUES]
    yield _gauge("queue_jobs", "Jobs that could be done and wait for a worker", told, "queue")
    ages = {queue: age.total_seconds() for queue, age in now.backlog.oldest.items()}
    yield _gauge("queue_oldest_seconds", "How long the first", [((q,), ages.get(q, 0.0)) for q in QUEUES], "queue")
    yield _gauge("workers", "Workers that are alive", [((), float(now.backlog.workers))])


def _gauge(name: str, says: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"pingshao_{name}", says, labels=labels)
    for told, value in values:
        family.add_metric(told, value)
    return family


def _version() -> str:
    try:
        return version("pingshao")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"


def expose(core: Core, found: Checkup, accept: str) -> tuple[bytes, str]:
    """Everything as text, and what kind of text it is."""
    encode: Callable[[CollectorRegistry], bytes]
    encode, kind = choose_encoder(accept)
    house = CollectorRegistry(auto_describe=False)
    house.register(_House(core, found))
    joined = CollectorRegistry(auto_describe=False)
    for registry in (core.meters.registry, house):
        joined.register(registry)
    return encode(joined), kind

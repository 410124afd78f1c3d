"""What one process counts of its own work, for ``/metrics``."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_WAITS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600)
_CRAWLS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 3600)
_ITEMS = ("new", "changed", "duplicates", "skipped")


class Meters:
    """Counters and histograms of this process, in a registry of their own.

    Attributes:
        registry: All of them, and what the process needs of memory, processor and files.
        began: When counting began, in `time.monotonic` seconds.
        rounds: By loop of the service, when its last round that went well ended, in `time.monotonic` seconds.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.began = time.monotonic()
        self.rounds: dict[str, float] = {}

        def histogram(name: str, says: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"pingshao_{name}", says, labels, registry=registry, buckets=buckets)

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"pingshao_{name}", says, labels, registry=registry)

        self._loop = histogram("loop_seconds", "Rounds of the service's loops that went well", ("loop",), _SECONDS)
        self._loop_ended = Gauge(
            "pingshao_loop_last_success_timestamp_seconds", "End of the last such round", ("loop",), registry=registry
        )
        self._loop_failed = counter("loop_failures", "Rounds that broke", "loop")
        self._crawl = histogram("crawl_seconds", "Crawls by this process", ("status",), _CRAWLS)
        self._items = counter("crawl_items", "What those crawls brought", "outcome")
        self._job = histogram("job_seconds", "Queued jobs by this worker", ("queue", "outcome"), _CRAWLS)
        self._job_ended = Gauge(
            "pingshao_job_last_success_timestamp_seconds", "End of the last one done", ("queue",), registry=registry
        )
        self._timer = histogram("timer_lateness_seconds", "From due to fired", ("owner",), _WAITS)
        self._delivery = histogram("delivery_seconds", "From queued to accepted by the provider", ("channel",), _WAITS)
        self._undelivered = counter("delivery_failures", "Attempts that did not arrive", "channel", "outcome")
        self._desk = histogram("desk_seconds", "From request to first byte", ("route", "method", "status"), _SECONDS)

    def round(self, loop: str, seconds: float) -> None:
        """A loop's round went well."""
        self.rounds[loop] = time.monotonic()
        self._loop.labels(loop).observe(seconds)
        self._loop_ended.labels(loop).set_to_current_time()

    def round_failed(self, loop: str) -> None:
        """A loop's round broke."""
        self._loop_failed.labels(loop).inc()

    def crawled(self, line: Mapping[str, Any], seconds: float) -> None:
        """A crawl ended, with its ledger line; one that found the last still going was none."""
        if not line.get("busy"):
            self._crawl.labels(line.get("status", "")).observe(seconds)
            for outcome in _ITEMS:
                self._items.labels(outcome).inc(line.get(outcome, 0))

    def job(self, queue: str, outcome: str, seconds: float) -> None:
        """A queued job ended: ``done``, ``failed``, or ``put_back`` to be done later or elsewhere."""
        self._job.labels(queue, outcome).observe(seconds)
        if outcome == "done":
            self._job_ended.labels(queue).set_to_current_time()

    def fired(self, owner: str, late: timedelta) -> None:
        """A timer of a case or a crisis fired."""
        self._timer.labels(owner).observe(max(0.0, late.total_seconds()))

    def sent(self, channel: str, waited: timedelta) -> None:
        """A provider accepted a message."""
        self._delivery.labels(channel).observe(max(0.0, waited.total_seconds()))

    def not_sent(self, channel: str, outcome: str) -> None:
        """An attempt ended otherwise: ``pending``, ``uncertain`` or ``dead``."""
        self._undelivered.labels(channel, outcome).inc()

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """The desk answered a request."""
        self._desk.labels(route, method, f"{status // 100}xx").observe(seconds)

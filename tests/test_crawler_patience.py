"""crawler.patience: whoever is told to wait waits, and so do all that ask the same host."""

import asyncio
import time

from scrapy.http import Request

from crawler.patience import PAUSE, PatienceMiddleware


async def test_one_pause_holds_back_the_whole_host() -> None:
    """Other hosts go on; the pause is kept once."""
    patience = PatienceMiddleware()
    told = Request("http://a.example/1", meta={PAUSE: 0.2})
    begun = time.monotonic()
    waited: dict[str, float] = {}

    async def ask(request: Request) -> None:
        await patience.process_request(request)
        waited[request.url] = time.monotonic() - begun

    others = [Request(url) for url in ("http://a.example/2", "http://b.example/")]
    await asyncio.gather(ask(told), *map(ask, others))
    assert waited["http://b.example/"] < 0.15
    assert waited["http://a.example/1"] >= 0.2
    assert waited["http://a.example/2"] >= 0.19
    assert PAUSE not in told.meta
    begun = time.monotonic()
    await ask(told)
    assert waited["http://a.example/1"] < 0.15

"""The simulated shop's web site: a catalogue with reviews, a comments API, a forum's feed, a page with markup.

Everything shows what has been written at the clock's time, newest first. ``/catalogue/`` is made to be read by the
connector ``html``, ``/api/comments`` by ``json``, ``/forum/feed.xml`` by ``feed``, ``/goods/…`` by ``schema_org``.
"""

import csv
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from alerts.rehearsal.story import SHOP_NAME, ZONE, Place, Review, Story
from monitor.clock import Clock

PER_PAGE = 40
FEED_LENGTH = 60
_LONGEST_NUMBER = 6
STARS = ("", "One", "Two", "Three", "Four", "Five")
_BANNER = "店庆大促：满 300 减 40"


class ShopSite:
    """The site's pages; ``app`` is what a web server serves."""

    def __init__(self, story: Story, clock: Clock) -> None:
        self._story = story
        self._clock = clock
        self._templates = Environment(
            loader=PackageLoader("alerts.rehearsal"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters["local"] = _local
        self._templates.filters["rfc822"] = format_datetime
        self.app = Starlette(
            routes=[
                Route("/robots.txt", self._robots),
                Route("/catalogue/", self._catalogue),
                Route("/catalogue/{slug}/", self._product),
                Route("/api/comments", self._comments),
                Route("/forum/feed.xml", self._feed),
                Route("/forum/{id}", self._post),
                Route("/goods/{slug}", self._goods),
            ]
        )

    def _shown(self, place: Place, slug: str = "") -> list[Review]:
        reviews = self._story.reviews_until(self._clock.now())
        return [review for review in reviews if review.place == place and slug in ("", review.product)]

    def _page(self, name: str, media_type: str = "text/html", **values: object) -> Response:
        text = self._templates.get_template(name).render(shop=SHOP_NAME, banner=_BANNER, words=STARS, **values)
        return Response(text, media_type=media_type)

    async def _robots(self, request: Request) -> Response:
        del request
        return PlainTextResponse("User-agent: *\nDisallow: /cart\n")

    async def _catalogue(self, request: Request) -> Response:
        del request
        reviews = self._shown("html")
        products = [
            (product, [review for review in reviews if review.product == slug])
            for slug, product in self._story.products.items()
            if product["place"] == "html"
        ]
        return self._page("catalogue.html", products=products)

    async def _product(self, request: Request) -> Response:
        product = self._story.products.get(request.path_params["slug"])
        if product is None or product["place"] != "html":
            return HTMLResponse("没有这件商品", 404)
        reviews = self._shown("html", product["slug"])
        number = _page_number(request)
        start = (number - 1) * PER_PAGE
        more = number + 1 if len(reviews) > start + PER_PAGE else None
        shown = reviews[start : start + PER_PAGE]
        return self._page("product.html", product=product, reviews=shown, count=len(reviews), more=more)

    async def _comments(self, request: Request) -> Response:
        reviews = self._shown("json")
        start = (_page_number(request) - 1) * PER_PAGE
        return JSONResponse(
            {
                "code": 0,
                "data": {
                    "total": len(reviews),
                    "comments": [self._comment(review) for review in reviews[start : start + PER_PAGE]],
                },
            }
        )

    def _comment(self, review: Review) -> dict[str, object]:
        return {
            "id": review.id,
            "content": review.text,
            "score": review.stars,
            "user": {"nick": review.author},
            "item": self._story.products[review.product]["name"],
            "order": review.order,
            "created": int(review.at.timestamp() * 1000),
        }

    async def _feed(self, request: Request) -> Response:
        posts = self._shown("forum")[:FEED_LENGTH]
        return self._page("feed.xml", "application/rss+xml", posts=posts, site=str(request.base_url).rstrip("/"))

    async def _post(self, request: Request) -> Response:
        for post in self._shown("forum"):
            if post.id == request.path_params["id"]:
                return self._page("post.html", post=post)
        return HTMLResponse("没有这个帖子", 404)

    async def _goods(self, request: Request) -> Response:
        product = self._story.products.get(request.path_params["slug"])
        if product is None or product["place"] != "schema":
            return HTMLResponse("没有这件商品", 404)
        reviews = self._shown("schema", product["slug"])
        markup = {
            "@context": "https://schema.org",
            "@type": "Product",
            "name": product["name"],
            "review": [_markup(review) for review in reviews],
        }
        return self._page("goods.html", product=product, reviews=reviews, markup=markup)


def write_export(story: Story, now: datetime, path: Path) -> None:
    """The merchant back end's export of the second platform, as its file would lie there at that moment (CSV)."""
    rows = [review for review in story.reviews_until(now) if review.place == "file"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["评价编号", "订单号", "商品名称", "评分", "评价内容", "评价时间", "买家昵称"])
        for review in rows:
            product = story.products[review.product]["name"]
            at = f"{_local(review.at):%Y-%m-%d %H:%M:%S}"
            writer.writerow([review.id, review.order, product, review.stars, review.text, at, review.author])


def _markup(review: Review) -> dict[str, object]:
    return {
        "@type": "Review",
        "@id": f"#{review.id}",
        "author": {"@type": "Person", "name": review.author},
        "datePublished": _local(review.at).isoformat(),
        "reviewBody": review.text,
        "reviewRating": {"@type": "Rating", "ratingValue": review.stars, "bestRating": 5},
    }


def _local(at: datetime) -> datetime:
    return at.astimezone(ZONE)


def _page_number(request: Request) -> int:
    said = request.query_params.get("page", "1")
    return max(1, int(said)) if said.isdecimal() and len(said) <= _LONGEST_NUMBER else 1

"""Doubles of WooCommerce, Judge.me and 微博, see ``stores``; their rows as the platforms write them."""

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crawler_factories import NOW
from crawler_grants import Grants
from serving import Asked, Told
from stores import ENV, Row, Store, iso


@dataclass
class Woo(Store):
    """WooCommerce's ``products/reviews`` of a shop at +8; ``at`` is when a row was written."""

    def answer(self, asked: Asked) -> Told:
        assert asked.path == "/wp-json/wc/v3/products/reviews"
        wanted = base64.b64encode(f"{ENV['WOO_KEY']}:{ENV['WOO_SECRET']}".encode()).decode()
        by_query = (asked.query.get("consumer_key"), asked.query.get("consumer_secret"))
        if asked.headers.get("Authorization") != f"Basic {wanted}" and by_query != (ENV["WOO_KEY"], ENV["WOO_SECRET"]):
            said = {
                "code": "woocommerce_rest_cannot_view",
                "message": "抱歉，您不能列出资源。",
                "data": {"status": 401},
            }
            raise Told(said, 401)
        query = asked.query
        size, page = int(query["per_page"]), int(query["page"])
        assert size <= 100
        assert (query["order"], query["orderby"]) == ("desc", "date_gmt")
        wanted_status = {"all": ("approved", "hold"), "approved": ("approved",), "trash": ("trash",)}[query["status"]]
        rows = sorted((r for r in self.rows if r["status"] in wanted_status), key=lambda row: row["at"], reverse=True)
        shown = [{n: v for n, v in row.items() if n != "at"} for row in rows[(page - 1) * size : page * size]]
        return Told(shown, 200, {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(-(-len(rows) // size))})


def woo_row(number: int, at: datetime, **values: Any) -> Row:
    row = {"id": number, "date_created": iso(at + timedelta(hours=8)), "date_created_gmt": iso(at), "product_id": 7}
    row |= {"product_name": "保温杯", "product_permalink": "https://shop.example/p/7", "status": "approved"}
    row |= {"reviewer": "王小明", "reviewer_email": "w@example.com", "review": f"<p>第{number}条</p>\n", "rating": 1}
    return {**row, "verified": False, "at": at, **values}


@dataclass
class Judge(Store):
    """Judge.me's ``/reviews``."""

    def answer(self, asked: Asked) -> Told:
        assert asked.path == "/api/v1/reviews"
        if asked.query["api_token"] != ENV["JUDGEME_TOKEN"] or asked.query["shop_domain"] != "cup.myshopify.com":
            raise Told({"error": "unauthorized"}, 401)
        size, page = int(asked.query["per_page"]), int(asked.query["page"])
        assert size <= 100
        return Told({"current_page": page, "per_page": size, "reviews": self.rows[(page - 1) * size : page * size]})


def judge_row(number: int, at: datetime, **values: Any) -> Row:
    row = {"id": number, "title": "", "body": f"第{number}条", "rating": 1, "product_external_id": 8595686588594}
    row |= {"product_title": "保温杯", "reviewer": {"name": "王小明", "email": "w@example.com"}, "curated": "ok"}
    row |= {"created_at": f"{iso(at)}+00:00", "published": True, "hidden": False, "verified": "buyer"}
    return {**row, **values}


@dataclass
class Weibo(Store):
    """微博's three lists of an account; ids grow with time."""

    comments: list[Row] = field(default_factory=list)
    grants: Grants | None = None

    def answer(self, asked: Asked) -> Told:
        if self.grants and (asked.method, asked.path) == ("POST", "/oauth2/access_token"):
            return Told(self.grants.answer(asked.form, self.clock))
        name, token = asked.path.removeprefix("/2/").removesuffix(".json"), asked.query.get("access_token", "")
        if not (self.grants.holds(token, self.clock) if self.grants else token == ENV["WEIBO_TOKEN"]):
            raise Told({"error": "expired_token", "error_code": 21327, "request": asked.path}, 403)
        rows = {"statuses/mentions": self.rows, "comments/to_me": self.comments, "comments/mentions": []}[name]
        since, top = int(asked.query.get("since_id", 0)), int(asked.query.get("max_id", 10**20))
        count = int(asked.query["count"])
        assert count <= 200
        shown = [row for row in rows if since < row["id"] <= top][:count]
        shown = [row for row in shown if not row.get("hidden")]  # hidden after they were counted
        return Told({name.partition("/")[0]: shown, "total_number": len(rows), "next_cursor": 0})


def weibo_row(number: int, at: datetime, **values: Any) -> Row:
    said = at.astimezone(NOW.tzinfo).strftime("%a %b %d %H:%M:%S %z %Y")
    row = {
        "id": number,
        "idstr": str(number),
        "created_at": said,
        "text": f"@好杯子 第{number}条",
        "attitudes_count": "1.5万",
    }
    return {**row, "reposts_count": 3, "comments_count": "2", "user": {"id": 7, "screen_name": "路人甲"}, **values}

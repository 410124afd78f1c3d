"""Doubles of the App Store (RSS and Connect) and Google Play, see ``stores``; rows as the platforms write them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from serving import Asked, Told
from stores import Row, Store, apple_key, es256_holds, google_key, parts, rs256_holds


@dataclass
class Apple(Store):
    """The public RSS, 50 a page, 10 pages; ``hollow`` pages have no JSON entries."""

    hollow: set[int] = field(default_factory=set)
    as_object: bool = True

    def answer(self, asked: Asked) -> Told:
        _, country, _, _, page_part, app, order, kind = asked.path.split("/")
        assert (app, order) == ("id=123456", "sortby=mostrecent")
        page = int(page_part.removeprefix("page="))
        if not 1 <= page <= 10:
            raise Told(b"CustomerReviews RSS page depth is limited to 10", 400)
        rows = [row for row in self.rows if row["country"] == country][(page - 1) * 50 : page * 50]
        if kind == "xml":
            entries = "".join(_atom(row) for row in rows)
            space = 'xmlns="http://www.w3.org/2005/Atom" xmlns:im="http://itunes.apple.com/rss"'
            return Told(f'<?xml version="1.0" encoding="utf-8"?><feed {space}><id>f</id>{entries}</feed>'.encode())
        entries = [_entry(row) for row in rows] if page not in self.hollow else []
        feed: Row = {"author": {"name": {"label": "iTunes Store"}}}
        if entries:
            feed["entry"] = entries[0] if len(entries) == 1 and self.as_object else entries
        return Told({"feed": feed})


def apple_row(number: int, at: datetime, **values: Any) -> Row:
    row = {
        "id": number,
        "at": at,
        "country": "cn",
        "stars": 1,
        "title": "闪退",
        "text": f"第{number}条",
        "name": "用户A",
    }
    return {**row, **values}


def _entry(row: Row) -> Row:
    labels = {"im:rating": row["stars"], "im:version": "8.1.0", "id": row["id"], "title": row["title"]}
    labels |= {"content": row["text"], "updated": _pacific(row["at"]), "im:voteSum": 2}
    entry: Row = {name: {"label": str(value)} for name, value in labels.items()}
    link = {"attributes": {"rel": "related", "href": f"https://itunes.apple.com/cn/review?id={row['id']}"}}
    return entry | {"author": {"name": {"label": row["name"]}, "label": ""}, "link": link}


def _atom(row: Row) -> str:
    text = row["text"].replace("&", "&amp;").replace("<", "&lt;")
    return (
        f"<entry><updated>{_pacific(row['at'])}</updated><id>{row['id']}</id><title>{row['title']}</title>"
        f'<content type="text">{text}</content><im:rating>{row["stars"]}</im:rating><im:version>8.1.0</im:version>'
        f"<im:voteSum>2</im:voteSum><author><name>{row['name']}</name><uri>u</uri></author>"
        f'<link rel="related" href="https://itunes.apple.com/cn/review?id={row["id"]}"/>'
        f'<content type="html">&lt;table&gt;{text}&lt;/table&gt;</content></entry>'
    )


def _pacific(at: datetime) -> str:
    return (at.astimezone(UTC) - timedelta(hours=7)).strftime("%Y-%m-%dT%H:%M:%S-07:00")


@dataclass
class Connect(Store):
    """App Store Connect's ``customerReviews``: cursors hold the id of the last row given."""

    issuer: str | None = "57246542-96fe-1a63-e053-0824d011072a"

    def answer(self, asked: Asked) -> Told:
        assert asked.path == "/v1/apps/123456/customerReviews"
        self.check(asked.headers.get("Authorization", "").removeprefix("Bearer "))
        query = asked.query
        assert (query["sort"], query["include"]) == ("-createdDate", "response")
        size = int(query["limit"])
        assert size <= 200
        ids = [row["id"] for row in self.rows]
        start = ids.index(query["cursor"]) + 1 if "cursor" in query else 0
        shown = self.rows[start : start + size]
        links = {"self": self.root}
        if start + size < len(self.rows):
            links["next"] = f"{self.root}{asked.path}?cursor={shown[-1]['id']}&limit={size}"
        data = [{name: value for name, value in row.items() if name != "reply"} for row in shown]
        return Told({"data": data, "included": [row["reply"] for row in shown if "reply" in row], "links": links})

    def check(self, token: str) -> None:
        errors = [{"status": "401", "code": "NOT_AUTHORIZED", "title": "Authentication credentials are missing"}]
        if token.count(".") != 2 or not es256_holds(token, apple_key().public_key()):
            raise Told({"errors": errors}, 401)
        header, claims = parts(token)
        assert header == {"alg": "ES256", "typ": "JWT", "kid": "2X9R4HXF34"}
        assert claims["aud"] == "appstoreconnect-v1"
        assert claims.get("iss") == self.issuer
        assert ("sub" in claims) == (self.issuer is None)
        if claims["exp"] - claims["iat"] > 1200 or not claims["iat"] - 60 <= self.clock.timestamp() < claims["exp"]:
            raise Told({"errors": errors}, 401)


def connect_row(number: int, at: datetime, **values: Any) -> Row:
    told = {"rating": 1, "title": "闪退", "body": f"第{number}条", "reviewerNickname": "用户A", "territory": "CHN"}
    told |= {"createdDate": _pacific(at)}
    return {"type": "customerReviews", "id": f"{number:08}-aaaa", "attributes": {**told, **values}}


def with_reply(row: Row, text: str, state: str = "PUBLISHED") -> Row:
    name = f"{row['id']}-r"
    reply = {"type": "customerReviewResponses", "id": name, "attributes": {"responseBody": text, "state": state}}
    return row | {"reply": reply, "relationships": {"response": {"data": {"type": reply["type"], "id": name}}}}


@dataclass
class Play(Store):
    """Google's token and review services: what was written in the last week, by the user's last change."""

    lasts: int = 3599
    given: dict[str, datetime] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Told:
        if asked.path == "/token":
            return self.exchange(asked)
        assert asked.path == "/androidpublisher/v3/applications/com.example.cup/reviews"
        ends = self.given.get(asked.headers.get("Authorization", "").removeprefix("Bearer "))
        if ends is None or ends <= self.clock:
            raise Told({"error": {"code": 401, "message": "Invalid credentials", "status": "UNAUTHENTICATED"}}, 401)
        size = int(asked.query["maxResults"])
        assert size <= 100
        week = [row for row in self.rows if row["at"] > self.clock - timedelta(days=7)]
        start = int(asked.query.get("token", "p0")[1:])
        shown = [{n: v for n, v in row.items() if n != "at"} for row in week[start : start + size]]
        body: Row = {"reviews": shown} if shown else {}
        if start + size < len(week):
            body["tokenPagination"] = {"nextPageToken": f"p{start + size}"}
        return Told(body)

    def exchange(self, asked: Asked) -> Told:
        assert asked.method == "POST"
        assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        token = asked.form["assertion"]
        numbers = google_key().public_key().public_numbers()
        header, claims = parts(token)
        sound = rs256_holds(token, numbers.n, numbers.e) and header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        if not sound or abs(claims["iat"] - self.clock.timestamp()) > 300 or claims["exp"] - claims["iat"] > 3600:
            raise Told({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        assert claims["iss"] == "reader@shop.example"
        assert claims["scope"] == "https://www.googleapis.com/auth/androidpublisher"
        assert claims["aud"] == f"{self.root}/token"
        name = f"ya29.token-{len(self.given)}"
        self.given[name] = self.clock + timedelta(seconds=self.lasts)
        return Told({"access_token": name, "expires_in": self.lasts, "token_type": "Bearer"})


def play_row(number: int, at: datetime, reply: str = "", **values: Any) -> Row:
    said = {"text": f"第{number}条", "starRating": 1, "lastModified": {"seconds": str(int(at.timestamp())), "nanos": 5}}
    comments: list[Row] = [{"userComment": {**said, "appVersionName": "8.1.0", "thumbsUpCount": 3, **values}}]
    if reply:
        later = {"seconds": str(int(at.timestamp()) + 60)}
        comments.append({"developerComment": {"text": reply, "lastModified": later}})
    return {"reviewId": f"gp:{number}", "authorName": "用户B", "comments": comments, "at": at}

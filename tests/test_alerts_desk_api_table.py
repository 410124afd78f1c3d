"""Whatever the desk shows or does, the API does too: each address of the desk and each button has its operation."""

import re
from urllib.parse import urlsplit

import pytest
from callers import SITE, house
from fastapi import FastAPI

from alerts.desk.api import create_api
from alerts.desk.app import create_app
from alerts.desk.pages import HERE, Pages
from alerts.desk.sessions import Doorkeeper
from alerts.links import Links
from monitor.core import Core

SETTINGS = {
    "POST /settings/back": ["DELETE /settings"],
    "POST /settings/people": ["PUT /settings/people/{name}", "DELETE /settings/people/{name}", "DELETE /settings"],
    "POST /settings/rotas": ["PUT /settings/rotas", "POST /settings/rotas/try"],
    "POST /settings/rotas/swap": ["POST /settings/rotas/swaps"],
    "POST /settings/routes": ["PUT /settings/routes"],
    "POST /settings/routes/try": ["POST /settings/routes/try"],
    "POST /settings/rules": ["PUT /settings/rules/{group}", "POST /settings/rules/{group}/try"],
    "POST /settings/drafts": ["PUT /settings/drafts/{code}", "POST /settings/drafts/{code}/try", "DELETE /settings"],
}
DESK = SETTINGS | {
    "GET /": ["GET /sources", "GET /crises", "GET /cases", "GET /outbox"],
    "GET /cases": ["GET /cases"],
    "GET /cases/{number}": ["GET /cases/{number}"],
    "POST /cases/{number}/{action}": ["POST /cases/{number}/actions"],
    "GET /cases/{number}/drafts": ["GET /cases/{number}/drafts"],
    "POST /cases/{number}/drafts": ["POST /cases/{number}/drafts/check"],
    "GET /crises": ["GET /crises"],
    "GET /crises/{number}": ["GET /crises/{number}"],
    "GET /crises/{number}/buyers.csv": ["GET /crises/{number}/buyers.{kind}"],
    "POST /crises/{number}/{action}": ["POST /crises/{number}/actions"],
    "GET /crises/{number}/drafts": ["GET /crises/{number}/drafts"],
    "POST /crises/{number}/drafts": ["POST /crises/{number}/drafts/check"],
    "GET /mentions": ["GET /mentions"],
    "GET /feedback": ["GET /behind"],
    "GET /deadlines": ["GET /deadlines"],
    "GET /answers": ["GET /answers"],
    "POST /answers/{number}/{verdict}": ["POST /answers/{number}/{verdict}"],
    "GET /outbox": ["GET /outbox"],
    "POST /outbox/{number}/retry": ["POST /outbox/{number}/retry"],
    "GET /audit": ["GET /audit"],
    "GET /export": ["GET /exports"],
    "GET /export/{what}.{kind}": ["GET /exports/{what}.{kind}"],
    "GET /reports": ["GET /reports"],
    "GET /reports/{name}": ["GET /reports/{name}"],
    "GET /reports/{name}/{file}": ["GET /reports/{name}/{file}"],
    "GET /settings": ["GET /settings"],
    "GET /settings/people": ["GET /settings/people", "GET /people"],
    "GET /settings/people/one": ["GET /settings/people"],
    "GET /settings/rotas": ["GET /settings/rotas", "GET /rota"],
    "GET /settings/routes": ["GET /settings/routes"],
    "GET /settings/rules": ["GET /settings/rules"],
    "GET /settings/drafts": ["GET /settings/drafts"],
    "GET /settings/drafts/{code}": ["GET /settings/drafts/{code}"],
    "GET /indicators": ["GET /indicators"],
    "POST /indicators": ["POST /indicators"],
    "GET /improvements": ["GET /improvements"],
    "GET /improvements/{number}": ["GET /improvements"],
    "POST /improvements": ["POST /improvements"],
    "POST /improvements/change": ["PUT /improvements/{number}", "DELETE /improvements/{number}"],
    "GET /corrections": ["GET /corrections"],
    "POST /corrections/undo": ["POST /corrections/{number}/undo"],
    "GET /tokens": ["GET /tokens"],
    "POST /tokens": ["POST /tokens"],
    "POST /tokens/{number}/revoke": ["POST /tokens/{number}/revoke"],
}
ALONE = {"GET /me", "GET /feedback", "GET /feedback/{number}"}
"""What only programs do."""
DOORS = re.compile(
    r"/(login|logout|api|healthz|readyz|metrics|desk/live|oidc|openapi\.json|hooks|slack|feishu|wecom|dingtalk|a|v|n)(/|$)"
)
"""Ways in, other people's doors, and what is about the service: nothing that somebody does at the desk."""
BUTTONS = {
    "save": "PUT", "try": "/try", "remove": "DELETE /settings/people", "back": "DELETE /settings",
    "withdraw": "DELETE /improvements/{number}", "change": "PUT /improvements/{number}",
}  # fmt: skip
"""What a form's button sends as ``do``, and the operation by which a program does that."""
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Empty:
    """A shelf without reports."""

    def listing(self) -> list[object]:
        return []

    def page(self, name: str, pictures: str) -> None:
        raise AssertionError(f"nobody asked for {name} {pictures}")

    def picture(self, name: str, file: str) -> None:
        raise AssertionError(f"nobody asked for {name} {file}")

    def effects(self, rows: object) -> dict[int, object]:
        raise AssertionError(f"nobody asked for {rows}")


def operations(app: FastAPI) -> set[str]:
    """Methods and paths."""
    return {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}


def test_the_api_does_what_the_desk_does(core: Core) -> None:
    """A new page or action of the desk without an operation is named here, and so is an operation nobody needs."""
    core = house(core)
    app = create_app(core, Links(core.secret, SITE, core.clock), Empty())  # type: ignore[arg-type]
    desk = {one for one in operations(app) if not DOORS.match(one.partition(" ")[2])}
    api = operations(create_api(core, Pages(core), Doorkeeper(core)))
    assert desk - set(DESK) == set(), "no operation of the API does this; add one, and a line to DESK"
    assert set(DESK) - desk == set(), "the desk has this no more"
    told = {one for found in DESK.values() for one in found}
    assert told - api == set(), "the API has this no more"
    assert api - told - ALONE == set(), "an operation for which there is nothing at the desk"


def test_every_button_has_an_operation(core: Core) -> None:
    """What a form can be asked for beside saving (try, remove, go back, withdraw) a program can ask for too."""
    del core
    found = set[tuple[str, str]]()
    for file in sorted((HERE / "templates").glob("*.html")):
        for action, inside in re.findall(
            r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', file.read_text("utf-8"), re.DOTALL
        ):
            path = urlsplit(action.replace("{{ root }}", "")).path
            found |= {(f"POST {path}", do) for do in re.findall(r'name="do" value="(\w+)"', inside)}
    assert len(found) > 8
    lacking = [(path, do) for path, do in sorted(found) if not any(BUTTONS.get(do, "?") in one for one in DESK[path])]
    assert lacking == [("POST /settings/rotas", "remove")]  # a rota is removed by saving the others

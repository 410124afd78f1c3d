"""What people read of duties: the card of a change of duty, and who is called to what he was given."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from delivering import Blind, make_house, rows, run
from factories import NOW
from sqlalchemy import Engine
from subjects import open_case, open_crisis

from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.handover import LISTED, hand_over
from monitor.models import Case, Crisis, Person
from monitor.notices import Notice

PEOPLE = [
    {"name": "客服一号", "slack": "U1"},
    {"name": "客服二号", "slack": "U2"},
]
ROTAS = [
    {"people": ["客服一号"], "shift": "08:00-18:00"},
    {"people": ["客服二号"], "shift": "18:00-24:00"},
]
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def house(sqlite: Engine, clock: HandClock) -> Core:
    core = make_house(sqlite, clock, people=PEOPLE, rotas=ROTAS)
    hand_over(core)
    return core


def hold(core: Core, model: type[Case] | type[Crisis], row_id: int, person: int = 1) -> None:
    with db.writing(core.engine) as session:
        row = session.get_one(model, row_id)
        row.assignee_id = person
        session.add(row)


def test_the_card_says_who_hands_what_to_whom(house: Core, clock: HandClock) -> None:
    """In one message that calls on who takes over, the next deadline first, with the way to each page."""
    hold(house, Case, open_case(house, ["杯子漏水"], categories=["quality"], opened_at=NOW))
    hold(house, Crisis, open_crisis(house, ["没收到"]))
    clock.move(timedelta(hours=4))
    assert hand_over(house) == 2
    blind = Blind()
    run(house, {"ops": blind})
    (card,) = [letter.card for letter in blind.letters if letter.key.startswith("rota:")]
    assert card.title == "【交班】示例旗舰店 · 2 件"
    assert [one.text.split("\n") for one in card.lines] == [
        ["客服一号 → 客服二号 2 件"],
        [
            "1. 危机 示例旗舰店 · 物流配送 · 1 位买家，今天 15:00 前 · 客服二号 看详情",
            "2. 示例旗舰店 · 质量问题 · 一般，今天 15:00 前 · 客服二号 看详情",
        ],
    ]
    assert [ping.name for ping in card.ping] == ["客服二号"]
    assert {span.url for one in card.lines for span in one.spans if span.url} == {
        "http://desk.test/v/case/1",
        "http://desk.test/v/crisis/1",
    }


def test_a_long_hand_over_is_one_card(house: Core, clock: HandClock) -> None:
    """The rest is counted; rows that are gone meanwhile are told by number."""
    for _ in range(LISTED + 1):
        hold(house, Case, open_case(house))
    clock.move(timedelta(hours=4))
    hand_over(house)
    (row,) = rows(house, "rota.handover")
    row.payload["rows"][:2] = [
        {"subject": "case", "id": 999, "to": "客服二号"},
        {"subject": "crisis", "id": 999, "to": "客服二号"},
    ]
    with db.writing(house.engine) as session:
        session.merge(row)
    blind = Blind()
    run(house, {"ops": blind})
    (card,) = [letter.card for letter in blind.letters if letter.key == row.dedupe_key]
    assert card.lines[-1].text == "另有 1 件，时限更晚"
    assert card.lines[1].text.startswith("1. 工单 #999 · 客服二号 看详情\n2. 危机 #999 · 客服二号 看详情\n3. ")


@pytest.mark.parametrize(("holder", "called"), [(2, ["客服二号"]), (None, [])])
def test_a_new_case_calls_on_who_was_given_it(house: Core, holder: int | None, called: list[str]) -> None:
    """Nobody by name where it is for whoever takes it; nor somebody who left."""
    case = open_case(house, assignee_id=holder)
    with db.writing(house.engine) as session:
        house.notify(session, [Notice("case.opened", f"case:{case}:opened:0", "case", case, "demo")])
    assert rows(house, "case.opened")[0].payload["ping"] == called
    with db.writing(house.engine) as session:
        session.get_one(Person, 2).active = False
        house.notify(session, [Notice("case.opened", f"case:{case}:opened:1", "case", case, "demo")])
    assert rows(house, "case.opened")[1].payload["ping"] == []

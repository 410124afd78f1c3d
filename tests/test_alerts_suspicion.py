"""What a card says of suspicions, and of questions: words, never a verdict."""

from typing import Any

import pytest
from delivering import make_house
from factories import NOW
from sqlalchemy import Engine
from subjects import open_case
from test_alerts_cards import reader

from alerts import cards
from alerts.content import Card
from alerts.desk import subjects
from monitor import db, lifecycle, queries
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Score
from monitor.moves import Action, Actor

TEXT = "不退款就给差评，天天给"
PLACE = {"code": "extortion", "start": 0, "end": 7, "text": "不退款就给差评"}


@pytest.fixture
def house(sqlite: Engine, clock: HandClock) -> Core:
    return make_house(sqlite, clock)


def card(core: Core, case: int) -> Card:
    with db.reading(core.engine) as session:
        view = queries.case_view(session, case)
        assert view is not None
        return cards.case_card(view, reader(core))


def said(core: Core, case: int) -> list[str]:
    return [line.text for line in card(core, case).lines]


def flag(core: Core, **values: Any) -> None:
    with db.writing(core.engine) as session:
        row = session.get_one(Score, 1)
        row.flags, row.evidence = ["extortion"], [PLACE | values]
        session.add(row)


def test_what_the_scorer_suspects_is_told_with_its_reason(house: Core) -> None:
    """Suspected, because of these words; the state stays, and nothing is said where there are no such words."""
    case = open_case(house, [TEXT])
    assert not any("疑似" in line for line in said(house, case))
    flag(house)
    assert "疑似勒索，因为「不退款就给差评」；请先留证据，不要指责买家" in said(house, case)
    assert any("状态：待认领" in line for line in said(house, case))
    flag(house, text="退" * 100)
    assert f"疑似勒索，因为「{'退' * 60}……」；请先留证据，不要指责买家" in said(house, case)


def test_what_a_person_suspects_is_told_with_its_reason(house: Core) -> None:
    """As long as the case is in that state, and even where the note scrolled away."""
    case = open_case(house, [TEXT])
    with db.writing(house.engine) as session:
        lifecycle.act(house, session, Action("extortion", "case", case, "聊天里要钱"), Actor("主管", "lead", "link"))
    assert "疑似恶意：疑似，依据：聊天里要钱" in said(house, case)
    with db.writing(house.engine) as session:
        for n in range(12):
            lifecycle.act(house, session, Action("note", "case", case, f"备注{n}"), Actor("主管", "lead", "link"))
    assert "疑似恶意：疑似，依据见详情" in said(house, case)


def test_a_question_is_no_complaint(house: Core) -> None:
    """Its card says what it is and drafts no apology."""
    case = open_case(house, ["能放洗碗机吗"], kind="question", severity="low", opened_at=NOW)
    shown = card(house, case)
    assert shown.title == "【买家提问】示例旗舰店 · 问答 · 轻微"
    assert not any("建议先说" in line.text for line in shown.lines)


def test_a_case_is_refiled_by_choice(house: Core) -> None:
    """The form offers categories, and no people."""
    case = open_case(house, [TEXT])
    with db.reading(house.engine) as session:
        subject = subjects.read(session, "case", case)
        assert subject is not None
        offered = subjects.choices(session, subject, "refile")
    assert ("logistics", "物流配送") in offered
    assert {value for value, _ in offered}.isdisjoint({"extortion", "主管"})

"""The JSON-lines scorer against its contract."""

import io
import json
from typing import Any

import pytest

from monitor.judge import Judge
from monitor.scoring import Scorer, run

KEYS = ["id", "negative", "p_negative", "categories", "severity", "flags", "evidence", "model"]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def score(judge: Judge, *lines: str) -> tuple[list[dict[str, Any]], int]:
    scorer = Scorer(judge)
    return [json.loads(line) for line in scorer.score_lines(lines)], scorer.bad


def test_answer_has_the_keys_of_the_contract(judge: Judge) -> None:
    """One object a line, all keys, evidence with code, start, end and text."""
    [answer], bad = score(judge, '{"text": "箱子里漏液，太差了", "id": 7, "kind": "review", "stars": 1}')
    assert list(answer) == KEYS
    assert bad == 0
    assert answer["id"] == 7
    assert {tuple(span) for span in answer["evidence"]} == {("code", "start", "end", "text")}


def test_praise(judge: Judge) -> None:
    """What is not negative has no categories and no severity."""
    [answer], _ = score(judge, '{"text": "很好，喜欢"}')
    assert (answer["negative"], answer["categories"], answer["severity"], answer["flags"]) == (False, [], None, [])
    assert answer["id"] is None


@pytest.mark.parametrize(
    "line",
    [
        *("", "rubbish", "[]", "null", '"text"', "{}", '{"text": 5}', '{"text": "a"', "[" * 100_000),
        *('{"text": "a", "kind": "poem"}', '{"text": "a", "stars": 9}', '{"text": "a", "stars": true}'),
        *('{"text": "a", "stars": "5"}', '{"text": "a", "stars": NaN}'),
    ],
)
def test_bad_lines_are_answered_in_place(judge: Judge, line: str) -> None:
    """A line that is no feedback gives an error with its number; its neighbours are scored."""
    answers, bad = score(judge, '{"text": "好"}', line, '{"text": "差", "id": "z"}')
    assert answers[1]["line"] == 2
    assert answers[1]["error"]
    assert (answers[0]["negative"], answers[2]["negative"], answers[2]["id"]) == (False, True, "z")
    assert bad == 1


@pytest.mark.parametrize("given", [None, 0, 1.5, "x", [1, {"a": None}], {"k": "\ud800"}, True, 10**30])
def test_any_id_is_echoed(judge: Judge, given: Any) -> None:
    """The id comes back as it was, whatever JSON it is."""
    [answer], _ = score(judge, json.dumps({"text": "一般", "id": given}))
    assert answer["id"] == given


def test_order_and_batches(judge: Judge) -> None:
    """More lines than a batch come back in their order."""
    lines = [json.dumps({"text": "太差" if number % 2 else "很好", "id": number}) for number in range(700)]
    answers, _ = score(judge, *lines)
    assert [(answer["id"], answer["negative"]) for answer in answers] == [(n, bool(n % 2)) for n in range(700)]


def test_run_writes_and_tells_by_its_status(judge: Judge) -> None:
    """0 when every line was feedback, 1 when one was not; output is UTF-8 even for lone surrogates."""
    out = io.StringIO()
    assert run(['{"text": "差\\ud800差"}\n'], out, judge) == 0
    assert out.getvalue().encode().endswith(b"\n")
    assert run(["x"], io.StringIO(), judge) == 1


def test_a_closed_reader_is_no_crash(judge: Judge) -> None:
    """`pingshao score | head` ends quietly."""

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    assert run(['{"text": "好"}'], Closed(), judge) == 0


def test_mentions_say_whether_they_are_about_a_shop() -> None:
    """A post's line carries `relevant`; a review's does not."""
    lines = [json.dumps({"text": "客服骂人", "kind": kind}) for kind in ("review", "mention")]
    review, mention = map(json.loads, Scorer(Judge()).score_lines(lines))
    assert "relevant" not in review
    assert isinstance(mention["relevant"], bool)

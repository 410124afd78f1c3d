"""Training from a user's own labelled file."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from monitor.judge import Judge, Text
from monitor.tables import load
from monitor.train import held_out, read_rows, train

THINGS = [
    "杯子",
    "毛巾",
    "台灯",
    "雨伞",
    "书包",
    "键盘",
    "牙刷",
    "水壶",
    "枕头",
    "地毯",
    "镜子",
    "花盆",
    "衣架",
    "手电",
]
WHENS = ["昨天收到的", "给妈妈买的", "第二次来买", "朋友推荐的", "活动时下单的", "等了几天的", "上周到的", "搬家用的"]
GOODS = ["很喜欢", "非常满意", "做得精致", "颜色漂亮", "推荐购买"]
BADS = [("漏水弄湿一地", "damage"), ("掉漆得厉害", "quality"), ("店员骂人", "service"), ("比昨天贵了一倍", "price")]


def make_rows(*, coded: bool) -> list[dict[str, Any]]:
    """Praise and complaints of our own making."""
    rows: list[dict[str, Any]] = []
    for when, thing in product(WHENS, THINGS):
        rows += [{"text": f"{when}{thing}，{good}", "label": 1} for good in GOODS]
        for bad, code in BADS:
            row = {"text": f"{when}{thing}{bad}", "negative": True}
            codes = {"categories": [code], "severity": "medium", "flags": []}
            rows.append(row | codes if coded else row)
    if coded:
        rows = [{"categories": [], "severity": None, "flags": []} | row for row in rows]
    return rows


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_polarity_alone_keeps_the_built_in_codes(tmp_path: Path) -> None:
    """Rows without categories train the polarity; figures come from rows held out, with their number."""
    told: list[str] = []
    result = train([write(tmp_path / "own.jsonl", make_rows(coded=False))], tmp_path / "own.npz", told.append)
    assert told == []
    assert re.fullmatch(r"own-[\d.]+-[0-9a-f]{8}\+[0-9a-f]{6}", result["model"])
    assert result["coded"] == 0
    assert result["held_out_codes"] == {"rows": 0, "micro_f1": None}
    assert result["trained"] + result["held_out"]["rows"] == len(make_rows(coded=False))
    assert result["held_out"]["accuracy"] > 0.95
    assert (load(tmp_path / "own.npz").codes.table == load().codes.table).all()
    assert load(tmp_path / "own.npz").notes["held_out"] == result["held_out"]


def test_codes_are_learned_where_rows_carry_them(tmp_path: Path) -> None:
    """Enough rows with categories train those too, and the judge uses the file."""
    result = train([write(tmp_path / "own.jsonl", make_rows(coded=True))], tmp_path / "own.npz")
    assert result["coded"] > 500
    assert result["held_out_codes"]["rows"] > 50
    assert result["held_out_codes"]["micro_f1"] > 0.9
    verdict = Judge(weights=tmp_path / "own.npz").judge(Text("朋友推荐的水壶店员骂人"))
    assert verdict.negative
    assert verdict.categories[0] == "service"
    assert verdict.model == result["model"]


@pytest.mark.slow
def test_training_twice_gives_the_same_file(tmp_path: Path) -> None:
    """The same rows give the same bytes, in another process with another order of sets, too."""
    rows = write(tmp_path / "own.jsonl", make_rows(coded=True))
    code = f"from pathlib import Path; from monitor.train import train; train([Path({str(rows)!r})], Path('own.npz'))"
    files = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent)}
        subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, check=True)
        files.append((folder / "own.npz").read_bytes())
    assert files[0] == files[1]


@pytest.mark.slow
def test_rows_from_elsewhere_count_like_a_files_and_make_another_model(tmp_path: Path) -> None:
    """What staff corrected stands beside files, wins over the same text there, and names its place when it is bad."""
    file = write(tmp_path / "rows.jsonl", [{"text": "挺好", "negative": False}, {"text": "还行", "negative": False}])
    told: list[str] = []
    more = [("correction 7", {"text": "挺好", "negative": True}), ("correction 8", {"negative": True})]
    assert [(row.text, row.negative) for row in read_rows([file], told.append, more)] == [
        ("挺好", True),
        ("还行", False),
    ]
    assert told == ['correction 8: expected an object with "text"']
    rows = [("x", row) for row in make_rows(coded=False)]
    models = [train([], tmp_path / "own.npz", more=some)["model"] for some in (rows, rows, rows[:-1])]
    assert models[0] == models[1] != models[2]
    assert models[2].startswith(f"{load(tmp_path / 'own.npz').version}+")


def test_posts_are_learned_apart(tmp_path: Path) -> None:
    """Where enough posts are among the rows, words that mean another thing there are read so; else they count alike."""
    rows = make_rows(coded=False)
    turned = [
        {**row, "text": f"[图]转发微博：{row['text']} #{day}", "label": 1 - row.get("label", 0), "kind": "mention"}
        for row in rows
        for day in range(3)
    ]
    for row in turned:
        row.pop("negative", None)
    train([write(tmp_path / "both.jsonl", rows + turned)], tmp_path / "own.npz")
    judge = Judge(weights=tmp_path / "own.npz")
    texts = ["朋友推荐的水壶，做得精致", "[图]转发微博：朋友推荐的水壶，做得精致 #5"]
    assert [verdict.negative for verdict in judge.judge_many([Text(text) for text in texts])] == [False, True]


BAD_LINES = [
    ("rubbish", "Expecting value"),
    ("[]", 'expected an object with "text"'),
    ('{"text": 1, "label": 0}', 'expected an object with "text"'),
    ('{"text": "甲"}', "true or false"),
    ('{"text": "乙", "label": 2}', "true or false"),
    ('{"text": "丙", "label": 0, "categories": ["qualty"]}', "unknown code 'qualty'"),
    ('{"text": "丁", "label": 0, "categories": [], "severity": "huge"}', "severity 'huge'"),
    ('{"text": "戊", "label": 0, "weight": 3}', "from 0 to 1"),
]


def test_bad_lines_are_named_and_skipped(tmp_path: Path) -> None:
    """Each bad line is told with file and line; the others are kept, each text once, also from a .gz."""
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write('{"text": "不错", "label": 1}\n\n' + "".join(line + "\n" for line, _ in BAD_LINES))
        file.write('{"text": " 不错 ", "negative": true, "categories": ["other"], "severity": "high", "weight": 0.5}\n')
        file.write('{"text": "不 错", "label": 1}\n')
    told: list[str] = []
    rows = read_rows([path], told.append)
    assert [message.split(" ")[0] for message in told] == [f"{path}:{number}:" for number in range(3, 11)]
    assert all(expected in message for message, (_, expected) in zip(told, BAD_LINES, strict=True))
    [row] = rows
    assert (row.text, row.negative, row.weight) == (" 不错 ", True, 0.5)
    assert row.codes == {"other", "severity>=medium", "severity>=high"}


def test_too_few_rows(tmp_path: Path) -> None:
    """A file that teaches nothing is refused with what was expected, and no weights are written."""
    path = write(tmp_path / "few.jsonl", [{"text": f"第{n}条好", "label": 1} for n in range(200)])
    with pytest.raises(ValueError, match=r"差评 0 条、非差评 \d+ 条.*至少 50 条"):
        train([path], tmp_path / "few.npz")
    assert not (tmp_path / "few.npz").exists()


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is the caller's error, by name."""
    with pytest.raises(OSError, match="absent"):
        train([tmp_path / "absent.jsonl"], tmp_path / "out.npz")


def test_one_row_in_ten_is_held_out() -> None:
    """The share held out is about a tenth and depends on the text alone."""
    share = sum(held_out(f"文本{number}") for number in range(5000)) / 5000
    assert 0.08 < share < 0.12

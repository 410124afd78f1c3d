"""How fast an export goes from file to stored, scored, filed feedback; and how much memory that takes.

    .venv/bin/python benchmarks/intake.py [--rows 10000] [--file reviews.csv] [--database URL]

Without a file, reviews are composed from a few hundred sentence parts, so that most texts differ. The reference line is
what the only comparable open-source pipeline reaches on such a machine without scoring: 260 rows a second (obsei 1.1.1,
10,000 rows in 38.5 s). SnowNLP's sentiment alone, on a sample of the same texts, is measured in the same run.
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

OBSEI_ROWS_A_SECOND = 260
SNOWNLP_SAMPLE = 300

SUBJECTS = [
    "杯子",
    "保温杯",
    "杯盖",
    "包装",
    "颜色",
    "客服",
    "快递",
    "赠品",
    "密封圈",
    "提绳",
    "味道",
    "做工",
    "尺寸",
    "价格",
]
PRAISE = ["很好看", "比想象的好", "用了两周没问题", "很满意", "家里人都喜欢", "值这个价", "回复很快", "隔天就到了"]
BLAME = [
    "漏水",
    "和图片差太多",
    "压扁了",
    "少了一个",
    "没人理",
    "等了十天",
    "一股怪味",
    "三天就坏",
    "退货还要自己出运费",
    "像是用过的",
]
TAILS = ["，下次还来", "，推荐", "，一般吧", "，后悔买了", "，希望改进", "。电话 1{}", "，再也不买了", "，先用着看", ""]


def compose(rng: random.Random) -> str:
    parts = [
        rng.choice(SUBJECTS) + rng.choice(PRAISE if rng.random() < 0.7 else BLAME) for _ in range(rng.randint(1, 4))
    ]
    tail = rng.choice(TAILS).format("".join(rng.choice("3456789") for _ in range(10)))
    return "，".join(parts) + tail


def write_export(file: Path, rows: int) -> None:
    rng = random.Random(7)
    now = datetime.now(UTC)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["评价ID", "评价时间", "评分", "评价内容", "订单号", "商品名称", "买家昵称"])
        for n in range(rows):
            at = now - timedelta(minutes=rng.randint(0, 25 * 24 * 60))
            row = [
                n,
                at.isoformat(),
                rng.randint(1, 5),
                compose(rng),
                f"26{n:011d}",
                f"商品{rng.randint(1, 40)}",
                f"买家{n}",
            ]
            writer.writerow(row)


def import_once(folder: Path, file: Path, url: str) -> tuple[dict, float, float]:
    config = folder / "pingshao.toml"
    config.write_text(
        f'[service]\ndatabase_url = "{url}"\n[[shops]]\nid = "demo"\nname = "示例旗舰店"\n', encoding="utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "scheduler",
        "--config",
        str(config),
        "import",
        str(file),
        "--shop",
        "demo",
        "--json",
    ]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if not done.stdout:
        sys.exit(done.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return json.loads(done.stdout), seconds, peak


def snownlp_rate(file: Path) -> float:
    from snownlp import SnowNLP

    with file.open(encoding="utf-8-sig") as lines:
        texts = [row["评价内容"] for row in csv.DictReader(lines)][:SNOWNLP_SAMPLE]
    SnowNLP("好").sentiments  # noqa: B018 — loads the model
    start = time.perf_counter()
    for text in texts:
        SnowNLP(text or "无").sentiments  # noqa: B018 — the property does the work
    return len(texts) / (time.perf_counter() - start)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=10_000)
    arguments.add_argument("--file", type=Path)
    arguments.add_argument("--database", default="sqlite:///pingshao.db")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = given.file or folder / "reviews.csv"
        if given.file is None:
            write_export(file, given.rows)
        ledger, seconds, peak = import_once(folder, file.resolve(), given.database)
        (line,) = ledger["sources"]
        _, again, _ = import_once(folder, file.resolve(), given.database)
        snownlp = snownlp_rate(file)
    rate = line["seen"] / seconds
    print(f"first import   {line['seen']:,} rows in {seconds:.1f} s = {rate:,.0f} rows/s, peak memory {peak:.0f} MB")
    negative, cases = ledger["feedback"]["negative"], ledger["cases"]["opened"]
    print(f"               {line['new']:,} new, {negative:,} negative, {cases:,} cases")
    print(f"second import  nothing new, {again:.1f} s")
    print(
        f"reference      obsei {OBSEI_ROWS_A_SECOND} rows/s without scoring: ours is {rate / OBSEI_ROWS_A_SECOND:.1f}×"
    )
    print(f"               SnowNLP's sentiment alone: {snownlp:,.0f} texts/s")


if __name__ == "__main__":
    main()

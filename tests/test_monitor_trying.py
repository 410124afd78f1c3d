"""``pingshao try`` and ``pingshao sources``: a config is written in minutes, and nothing is stored."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crawler_factories import Site, serving
from factories import NOW

import scheduler
from monitor import catalog, showing
from monitor.clock import HandClock
from monitor.errors import WrongCall
from monitor.settings import Settings
from monitor.trying import attempt

REVIEWS = """<html><article class="review" id="r1"><p class="body">漏水，电话13812345678</p><b class="by">小雨点</b>
<i class="when">2026-11-20 08:00</i></article><article class="review" id="r2"><p class="body"> </p></article>
<a class="next" href="/2">2</a></html>"""
CHANGES = ["item=article.review", "fields.text=p.body", "fields.author=.by", "fields.time=.when", "fields.id=@id"]


@pytest.fixture
def site() -> Iterator[Site]:
    answers: dict[str, Any] = {
        "/": REVIEWS,
        "/2": "<article class=review id=r3><p class=body>第二页</p></article>",
        "/list": '{"data": [{"id": 7, "text": "不错", "likes": "1.5万"}]}',
    }
    with serving(answers) as site:
        yield site


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own configuration reaches a test."""
    monkeypatch.delenv("PINGSHAO_CONFIG", raising=False)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> SimpleNamespace:
    """Run a command; gives its status and what it printed."""
    capsys.readouterr()
    status = scheduler.run(arguments)
    said = capsys.readouterr()
    return SimpleNamespace(status=status, out=said.out, err=said.err)


def settings(site: Site, **more: Any) -> Settings:
    shop = {"id": "demo", "name": "示例"}
    return Settings(service={"allow_private_hosts": [site.host]}, shops=[shop], **more)


def told(site: Site, target: str, *changes: str, url: str = "", **more: Any) -> dict[str, Any]:
    return attempt(settings(site, **more), HandClock(NOW), target, ["delay=0s", *changes], url)


@pytest.mark.slow
def test_one_page_is_shown_as_it_would_be_stored(site: Site) -> None:
    """Masked, counted, with fill rates and what was left out; the next page is not asked for."""
    found = told(site, "html", *CHANGES, "follow=a.next", url=site.url())
    assert site.paths() == ["/"]
    assert [found[key] for key in ("status", "error", "matched", "usable", "skipped", "more", "hints")] == [
        "ok", "", 2, 1, 1, True, [],
    ]  # fmt: skip
    assert found["items"] == [
        {
            "external_id": "r1",
            "text": "漏水，电话138****5678",
            "author": "小**点",
            "created_at": "2026-11-20T08:00:00+08:00",
            "url": site.url(),
        }
    ]
    assert found["fill"] == {"external_id": 1, "text": 1, "created_at": 1, "stars": 0, "author": 1, "url": 1}
    assert found["left_out"] == [f"{site.url()}: 没有文字、标题和评分，无可入库"]


@pytest.mark.slow
def test_a_configured_source_with_a_change(site: Site) -> None:
    """By its name, with its own keys; what is set on the command line wins, one field of a table at a time."""
    source = {
        "name": "shop",
        "kind": "html",
        "shop": "demo",
        "start": [site.url()],
        "item": "article.reviews",
        "fields": {"text": "p.wrong", "id": "@id"},
    }
    wrong = told(site, "shop", sources=[source])
    assert (wrong["status"], wrong["usable"]) == ("ok", 0)
    assert ".review（2 处）" in wrong["hints"][0]
    right = told(site, "shop", "item=.review", "fields.text=.body", sources=[source])
    assert [item["external_id"] for item in right["items"]] == ["r1"]


@pytest.mark.slow
def test_brand_robots_and_limits_hold(site: Site) -> None:
    """As in a crawl: only texts that name the brand, only what robots.txt and the guard allow."""
    found = told(
        site, "json", "items=data", "fields.text=text", "fields.likes=likes", 'brand=["别的"]', url=site.url("/list")
    )
    assert (found["matched"], found["usable"], found["skipped"]) == (1, 0, 1)
    assert "品牌" in found["left_out"][0]
    site.answers["/robots.txt"] = "User-agent: *\nDisallow: /"
    found = told(site, "json", "items=data", "fields.text=text", url=site.url("/list"))
    assert (found["status"], found["page"]) == ("failed", "")
    assert "robots.txt" in found["error"]
    refused = attempt(Settings(), HandClock(NOW), "feed", (), site.url())
    assert "allow_private_hosts" in refused["error"]


@pytest.mark.parametrize(
    ("target", "changes", "url", "words"),
    [
        ("htm", [], "", '是不是 "html"'),
        ("html", [], "", "start"),
        ("html", ["item"], "http://a.example", "key=value"),
        ("html", ["=x"], "http://a.example", "key=value"),
        ("html", ["item=p", "fields.text=p", "itme=p"], "http://a.example", "itme"),
        ("html", ["item=p", "fields.text=p"], "ftp://a.example", "http"),
        ("html", ["item=p", "fields.text=p", "delay=soon"], "http://a.example", "90s"),
        ("html", ["item=p", "fields=3", "fields.text=p["], "http://a.example", "CSS"),
        ("file", [], "http://a.example", "--url"),
        ("zhihu", ["questions=1"], "", "observed = true"),
        ("taobao", [], "", "app_key"),
    ],
)
def test_a_wrong_call_is_told(target: str, changes: list[str], url: str, words: str) -> None:
    """In one line that names the key, before anything is asked for."""
    with pytest.raises(WrongCall) as error:
        attempt(Settings(), HandClock(NOW), target, changes, url)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_command(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Status 0 with items, 1 where none was found and it is known why, 2 for a wrong call; no store, no other file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pingshao.toml").write_text(f'[service]\nallow_private_hosts = ["{site.host}"]\n', encoding="utf-8")
    sets = [word for change in CHANGES for word in ("--set", change)]
    good = call(capsys, "try", "html", "--url", site.url(), *sets)
    assert good.status == 0, good.err
    assert "漏水，电话138****5678" in good.out
    assert "匹配 2 处，可用 1 条，跳过 1 条" in good.out
    assert "什么也没有入库" in good.out
    bad = call(capsys, "try", "html", "--url", site.url(), "--set", "item=.reviw", "--set", "fields.text=p")
    assert (bad.status, "→ item = '.reviw'" in bad.out) == (1, True)
    failed = call(capsys, "try", "feed", "--url", site.url("/gone"), "--json")
    assert (failed.status, json.loads(failed.out)["error"]) == (1, f"{site.url('/gone')}: HTTP 404")
    assert call(capsys, "try", "nothing").status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["pingshao.toml"]


def test_every_kind_says_what_it_needs() -> None:
    """A title in Chinese, keys, variables, a page that is there; observed endpoints come last and are marked."""
    kinds = {kind.kind: kind for kind in catalog.kinds()}
    assert all(kind.title for kind in kinds.values())
    assert kinds["html"].required == ("start", "item", "fields")
    assert kinds["taobao"].env == ("secret_env", "session_env")
    assert [kind for kind, one in kinds.items() if one.opt_in] == ["bilibili", "tieba", "weibo_search", "zhihu"]
    assert list(kinds)[-4:] == ["bilibili", "tieba", "weibo_search", "zhihu"]
    root = Path(__file__).parent.parent
    assert all((root / kind.page.partition("#")[0]).is_file() for kind in kinds.values())


@pytest.mark.slow
def test_sources_of_a_config(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """State and last run of each, and which variables are missing; without a config the kinds alone."""
    monkeypatch.chdir(tmp_path)
    bare = call(capsys, "sources")
    assert bare.status == 0
    assert "还没有配置来源" in bare.out
    assert {line.split()[0] for line in bare.out.splitlines() if "docs/" in line} >= {"html", "taobao", "zhihu"}
    (tmp_path / "pingshao.toml").write_text(
        f"""
[service]
allow_private_hosts = ["{site.host}"]
[[shops]]
id = "demo"
name = "示例"
[[sources]]
name = "api"
kind = "json"
shop = "demo"
urls = ["{site.url("/list")}"]
items = "data"
fields = {{ text = "text", id = "id" }}
[[sources]]
name = "gone"
kind = "feed"
shop = "demo"
enabled = false
urls = ["{site.url("/gone")}"]
[[sources]]
name = "mall"
kind = "taobao"
shop = "demo"
app_key = "1"
secret_env = "NOT_SET_1"
session_env = "NOT_SET_2"
""",
        encoding="utf-8",
    )
    assert call(capsys, "crawl", "api").status == 0
    assert call(capsys, "crawl", "gone").status == 1
    found = json.loads(call(capsys, "sources", "--json").out)
    assert {kind["kind"] for kind in found["kinds"]} >= {"html", "file"}
    api, gone, mall = found["sources"]
    assert (api["status"], api["last_run"], api["error"]) == ("ok", {"pages": 1, "seen": 1, "new": 1}, "")
    assert api["last_run_at"] >= api["last_success_at"] > "2026"
    assert (gone["status"], gone["enabled"]) == ("failed", False)
    assert (mall["status"], mall["last_run"], mall["missing_env"]) == ("new", None, ["NOT_SET_1", "NOT_SET_2"])
    shown = call(capsys, "sources").out
    assert "停用" in shown
    assert "HTTP 404" in shown
    assert "环境变量 NOT_SET_2 没有设置" in shown


def test_text_from_outside_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, markup and line ends of a page are shown, wide spaces and emoji stay as they are."""
    told = {
        "status": "failed",
        "page": "http://a.example/\x1b[2J",
        "error": "[red]\x9b31m\r坏\u3000了👨‍👩‍👧[/red]",
        **dict.fromkeys(("matched", "usable", "skipped"), 0),
        "more": False,
        **{key: [] for key in ("fill", "items", "left_out", "hints")},
    }
    showing.tried(told)
    said = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\r"} & set(said)
    assert "[red]" in said
    assert "坏\u3000了👨‍👩‍👧" in said

"""Words: counted by texts, kept free of names and fillers, striking only against the norm."""

from datetime import date, datetime, timedelta

from factories import NOW, make_core
from factories_reports import ZONE, Record, store
from sqlalchemy import Engine

from monitor import db, directory
from reports.period import windows
from reports.words import Word, words

WEEK = datetime(2026, 11, 10, 12, tzinfo=ZONE)


def _bad(at: datetime, text: str, state: str = "received") -> Record:
    return Record(at, True, text, 1, ["other"], "low", state=state, shop=None)


def test_keyness_against_the_norm(sqlite: Engine) -> None:
    """A word that always occurs is frequent but not striking; one that is new is both; false alarms do not count."""
    rows = [_bad(WEEK, "快递破损，泡沫碎裂") for _ in range(8)] + [_bad(WEEK, "快递迟到") for _ in range(8)]
    rows += [_bad(WEEK - timedelta(days=9), "快递迟到") for _ in range(40)]
    rows += [_bad(WEEK, "误报误报", "false_alarm"), Record(WEEK, text="快递神速", shop=None)]
    core = make_core(sqlite)
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    store(sqlite, rows, NOW)
    spans = windows("weekly", date(2026, 11, 16), core.settings.zone)
    with db.reading(sqlite) as session:
        found = words(session, spans, "review", ["破损杯"])
    assert (found.texts, found.norm_texts) == (16, 40)
    assert found.cloud["快递"] == 16
    assert "误报" not in found.cloud
    assert "破损" not in found.cloud
    assert Word("泡沫", 8, 0) in found.key
    assert not {"快递", "迟到"} & {word.text for word in found.key}

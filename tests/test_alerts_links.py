"""Signed links."""

from datetime import timedelta

import pytest
from factories import NOW
from hypothesis import given
from hypothesis import strategies as st

from alerts.links import ACTION_LIFE, VIEW_LIFE, Expired, Forged, Links, View
from monitor.clock import HandClock


def make_links(clock: HandClock | None = None, secret: bytes = b"test secret") -> Links:
    return Links(secret, "https://desk.example.com/watch/", clock or HandClock(NOW))


def token_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


@given(
    action=st.text(max_size=20),
    subject_id=st.integers(0, 2**31),
    person=st.text(st.characters(codec="utf-8"), max_size=30),
)
def test_a_link_gives_back_what_it_was_made_of(action: str, subject_id: int, person: str) -> None:
    """Action, subject and person come out of a link as they went in."""
    links = make_links()
    action = action.encode("utf-8", "ignore").decode()
    url = links.make(action, "case", subject_id, person)
    link = links.read(token_of(url))
    assert (link.action, link.subject, link.subject_id, link.person) == (action, "case", subject_id, person)
    assert url.startswith("https://desk.example.com/watch/a/")


def test_each_link_is_one_of_its_kind() -> None:
    """Two links for the same thing differ, so that using one does not use up the other."""
    links = make_links()
    first, second = (links.read(token_of(links.make("claim", "crisis", 1, "客服一号"))) for _ in range(2))
    assert first.nonce != second.nonce


def test_a_view_link_stays_the_same() -> None:
    """A link that only shows is the same whenever it is made at the same time."""
    links = make_links()
    assert links.view("crisis", 7) == links.view("crisis", 7)
    assert links.read_view(token_of(links.view("crisis", 7))) == View("crisis", 7)


@pytest.mark.parametrize("life", [ACTION_LIFE, VIEW_LIFE])
def test_links_expire_by_the_given_clock(life: timedelta) -> None:
    """A link works until its life is over by the injected clock, whatever the wall says."""
    clock = HandClock(NOW)
    links = make_links(clock)
    token = token_of(links.make("claim", "case", 1, "甲") if life is ACTION_LIFE else links.view("case", 1))
    read = links.read if life is ACTION_LIFE else links.read_view
    clock.move(life - timedelta(seconds=1))
    assert read(token)
    clock.move(timedelta(seconds=1))
    with pytest.raises(Expired):
        read(token)


def test_forged_links_are_refused() -> None:
    """Another secret, a changed letter, a cut token, rubbish: all forged."""
    links = make_links()
    token = token_of(links.make("claim", "case", 1, "客服一号"))
    other = token_of(make_links(secret=b"another").make("claim", "case", 1, "客服一号"))
    changed = ("A" if token[5] != "A" else "B").join((token[:5], token[6:]))
    for bad in (other, changed, token[:-1], token + "A", "", ".", "非ascii", "\x00", "a" * 100_000):
        with pytest.raises(Forged):
            links.read(bad)


def test_a_view_link_is_no_action_link() -> None:
    """One kind of token is never read as the other."""
    links = make_links()
    with pytest.raises(Forged):
        links.read(token_of(links.view("case", 1)))
    with pytest.raises(Forged):
        links.read_view(token_of(links.make("claim", "case", 1, "客服一号")))


def test_an_old_forgery_is_forged() -> None:
    """Whether a token is genuine is asked before whether it is too old."""
    clock = HandClock(NOW)
    token = token_of(make_links(clock, b"another").make("claim", "case", 1, "客服一号"))
    clock.move(ACTION_LIFE * 2)
    with pytest.raises(Forged):
        make_links(clock).read(token)

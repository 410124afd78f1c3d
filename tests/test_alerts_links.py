"""Signed links."""

from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from factories import NOW
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from alerts.links import _SIGNER, ACTION_LIFE, VIEW_LIFE, Expired, Forged, Links, Listing, View
from alerts.packed import _KNOWN, pack, unpack
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


LIFE = timedelta(days=14)
USUAL = {"since": "2026-11-09", "until": "2026-11-15", "seen": "1795000000", "kind": "review", "bad": "1"}
WORDS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=300),
    st.sampled_from(_KNOWN),
    st.dates().map(date.isoformat),
    st.integers(0, 2**33).map(str),
    st.sampled_from(
        ["", "0", "007", "-1", "1.5", "²", "١", "2026-1-1", "20261115", "2026-W46-1", "1970-01-01", "2149-06-07"]
    ),
)


@given(of=st.sampled_from(["feedback", "deadlines"]), wanted=st.dictionaries(WORDS, WORDS, max_size=12))
def test_a_list_comes_out_as_it_went_in(of: str, wanted: Mapping[str, str]) -> None:
    """Any words with any values, of either list; nothing but letters that stand in an address as they are."""
    url = make_links().listing(wanted, LIFE, of=of)
    token = token_of(url)
    assert make_links().read_listing(token) == Listing(wanted, of)
    assert url.startswith("https://desk.example.com/watch/n/")
    assert urlencode({"": token}) == f"={token}"


def test_a_link_behind_a_number_is_short() -> None:
    """A mail has hundreds of them, and its limit."""
    links = Links(b"test secret", "https://host", HandClock(NOW))
    assert len(links.listing(USUAL | {"category": "logistics"}, LIFE)) <= 75
    whose = {"first": "1", "over": "30", "within": "120", "person": "客服一号"}
    assert len(links.listing(USUAL | whose, LIFE, of="deadlines")) <= 100


@given(at=st.integers(0, 70), letter=st.sampled_from("AZaz09-_.=+/ \u00e9"), cut=st.integers(1, 60))
def test_a_changed_list_is_forged(at: int, letter: str, cut: int) -> None:
    """Another letter anywhere, even one that stands for the same bits; less of it, more of it."""
    token = token_of(make_links().listing(USUAL, LIFE))
    changed = token[:at] + letter + token[at + 1 :]
    for bad in (changed, token[:-cut], token[cut:], token + letter, letter + token, token + "=="):
        if bad != token:
            with pytest.raises(Forged):
                make_links().read_listing(bad)


def test_one_kind_of_token_is_never_read_as_another() -> None:
    """Another secret, an action's or a page's token, an older list's signature over other words: all forged."""
    links = make_links()
    other = [
        make_links(secret=b"another").listing(USUAL, LIFE),
        links.view("case", 1),
        links.make("claim", "case", 1, "甲"),
    ]
    old_token = old(USUAL)
    payload, _, signature = old_token.rpartition(".")
    for bad in (
        *map(token_of, other),
        f"{signature[:22]}{payload}",
        payload,
        old(USUAL, kind="view"),
        "",
        ".",
        "A" * 9999,
    ):
        with pytest.raises(Forged):
            links.read_listing(bad)
    for read in (links.read, links.read_view):
        for token in (token_of(links.listing(USUAL, LIFE)), old_token):
            with pytest.raises(Forged):
                read(token)


def test_a_list_ends_with_its_life() -> None:
    """To the second, by the given clock; before that it is asked whether it is genuine."""
    clock = HandClock(NOW)
    links = make_links(clock)
    token = token_of(links.listing(USUAL, LIFE))
    clock.move(LIFE - timedelta(seconds=1))
    assert links.read_listing(token)
    clock.move(timedelta(seconds=1))
    with pytest.raises(Expired):
        links.read_listing(token)
    with pytest.raises(Forged):
        links.read_listing(token[:-1] + ("A" if token[-1] != "A" else "E"))


def test_lists_in_mails_already_sent_still_open() -> None:
    """As they were made before they were packed, short and long, until they end; changed they are forged."""
    clock = HandClock(NOW)
    links = make_links(clock)
    long = USUAL | {"product": "双层玻璃杯 420ml " * 30}
    for wanted in (USUAL, long):
        assert links.read_listing(old(wanted)) == Listing(wanted)
        with pytest.raises(Forged):
            links.read_listing(old(wanted)[:-1])
    token = old(USUAL)
    clock.move(LIFE)
    with pytest.raises(Expired):
        links.read_listing(token)


def old(wanted: Mapping[str, str], kind: str = "listing") -> str:
    """A list's token as it was made once."""
    until = int((NOW + LIFE).timestamp())
    return str(URLSafeSerializer(b"test secret", salt=f"pingshao.{kind}", signer_kwargs=_SIGNER).dumps([until, wanted]))


@given(st.binary(max_size=60))
def test_what_was_never_packed_is_no_accident(rubbish: bytes) -> None:
    """Bytes of another version are words or a ValueError, never another error."""
    try:
        of, wanted = unpack(rubbish)
    except ValueError:
        return
    assert unpack(pack(of, wanted)) == (of, wanted)


def test_what_bytes_mean_stays() -> None:
    """Links in mails that were sent are read by what these stand for: the list of words grows at its end only."""
    assert pack("deadlines", USUAL | {"person": "甲"}).hex() == "0102fc511e03fc512404fd6afd86c0052506201efe03e794b2"
    assert sha256(" ".join(_KNOWN[:87]).encode()).hexdigest()[:16] == "3e6c62a4282f4bc4"
    assert len(_KNOWN) == len(set(_KNOWN)) < 252

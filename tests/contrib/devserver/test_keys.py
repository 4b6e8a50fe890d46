"""Keys: which are taken, who is believed to have one, and that none is ever shown."""

from __future__ import annotations

import base64

import pytest

from inngest_contrib.devserver.errors import KeysRefused
from inngest_contrib.devserver.keys import Keys, environment, read_keys

KEY = "0123456789abcdef0123456789abcdef"
HASH = "223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a"
KEYS = Keys(KEY, ("first", "second"))


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {KEY}",
        f"Bearer signkey-test-{KEY}",
        f"Bearer {HASH}",
        f"Bearer signkey-prod-{HASH}",
        f"bearer signkey-test-{HASH}",
        f"BEARER   {HASH}",
        basic(f"anyone:{KEY}"),
    ],
)
def test_the_key_or_its_hash_is_believed(header: str) -> None:
    assert KEYS.admits(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nope",
        "Bearer é",
        f"Bearer {KEY.upper()}",
        f"Bearer {HASH[:-1]}",
        KEY,
        f"signkey-test-{HASH}",
        f"Token {KEY}",
        basic(KEY),
        basic("anyone:nope"),
        "Basic ====",
        "Basic é",
    ],
)
def test_nothing_else_is(header: str | None) -> None:
    assert not KEYS.admits(header)


def test_events_need_one_of_the_event_keys() -> None:
    assert KEYS.admits_event_key("first")
    assert KEYS.admits_event_key("second")
    assert not KEYS.admits_event_key("third")
    assert not KEYS.admits_event_key("")


def test_without_keys_everyone_is_let_in() -> None:
    assert Keys().admits(None)
    assert Keys().admits_event_key("any")
    assert (Keys().kind.value, KEYS.kind.value) == ("dev", "cloud")


@pytest.mark.parametrize(
    ("signing", "events", "text"),
    [
        (f"signkey-test-{KEY}", ["e"], "only the hex digits that follow"),
        ("abc", ["e"], "an even number of hex digits"),
        ("", ["e"], "an even number of hex digits"),
        (f" {KEY}", ["e"], "an even number of hex digits"),
        ("signkey-test-secret", ["e"], "an even number of hex digits"),
        (KEY, [], "at least one"),
        (KEY, ["e", ""], "not empty"),
        (KEY, ["secret word"], "without spaces"),
        (KEY, ["secret/word"], "slashes"),
        (None, ["secret"], "needs a signing key"),
    ],
)
def test_keys_of_the_wrong_form_are_refused_without_being_shown(
    signing: str | None, events: list[str], text: str
) -> None:
    with pytest.raises(KeysRefused, match=text) as caught:
        read_keys(signing, events)
    assert "secret" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_keys_do_not_show_themselves() -> None:
    assert repr(KEYS) == "Keys()"


def test_an_app_is_told_all_that_it_needs() -> None:
    assert environment("http://here", Keys()) == {"INNGEST_DEV": "http://here"}
    assert environment("http://here", KEYS) == {
        "INNGEST_DEV": "0",
        "INNGEST_BASE_URL": "http://here",
        "INNGEST_EVENT_KEY": "first",
        "INNGEST_SIGNING_KEY": KEY,
    }

"""Every difference between the names of the two packages is explained to those who change."""

from __future__ import annotations

import pytest

from . import signatures
from .kits import OFFICIAL_IS_HERE


def test_the_page_has_rows_to_read() -> None:
    assert "inngest.flask.serve" in signatures.explained()


@pytest.mark.skipif(not OFFICIAL_IS_HERE, reason="the official package is not installed here")
def test_no_difference_is_left_unexplained_and_no_explanation_is_idle() -> None:
    assert signatures.problems() == []


def test_a_signature_is_compared_by_names_and_defaults() -> None:
    def official(a: int, *, b: int = 1, c: list[int] | None = None) -> None: ...

    def same(a: str, *, c: object = None, b: int = 1) -> None: ...

    def other(a: int, *, b: int = 2, c: None = None) -> None: ...

    assert list(signatures._of_callable("f", official, same)) == []
    (found,) = signatures._of_callable("f", official, other)
    assert (found.official, found.ours) == ("(a, *, b=1, c=None)", "(a, *, b=2, c=None)")


def test_an_awaited_method_and_a_plain_one_differ() -> None:
    async def official() -> None: ...

    def ours() -> None: ...

    (found,) = signatures._of_callable("f", official, ours)
    assert (found.name, found.official, found.ours) == ("f awaited", "async", "plain")

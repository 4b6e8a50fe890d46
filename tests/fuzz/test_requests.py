"""Whatever else comes in (methods, headers, queries, signatures), a documented reply goes out."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

import inngest_core as inngest
from inngest_core.wire.http import HttpResponse
from inngest_core.wire.signing import sign

from ..flow.wiring import FALLBACK, KEY, NOW, URL
from . import damage
from .amounts import fuzzed
from .doors import CLOUD, DOORS, FUNCTIONS, WAYS, Backstage, is_signed, verify
from .samples import CALLS

modes = pytest.mark.parametrize("mode", list(DOORS))
ways = pytest.mark.parametrize("way", WAYS)
CALL = CALLS[0].encode()


@modes
@ways
@fuzzed(query=damage.queries(FUNCTIONS))
def test_any_query(mode: str, way: str, query: dict[str, str]) -> None:
    door = DOORS[mode]
    headers = {"x-inngest-signature": sign(KEY, CALL, NOW)}
    response = door.ask(way, inngest.CommRequest("POST", URL, headers, query, CALL))
    assert response.status != 401
    verify(door, response, size=len(CALL) + sum(map(len, query.values())))


URLS = [URL, "http://[::1]:8000/x", "http://a", "//", "", "http://a:b/", "http://[/", "é://é/é"]


@modes
@ways
@fuzzed(
    method=damage.methods | damage.texts,
    headers=damage.headers,
    url=st.sampled_from(URLS),
    body=st.sampled_from([b"", b"{}", b"null", CALL]) | damage.damaged(),
    signed=st.booleans(),
)
def test_any_method_and_headers(
    mode: str, way: str, method: str, headers: dict[str, str], url: str, body: bytes, signed: bool
) -> None:
    door = DOORS[mode]
    if signed:
        headers = {**headers, "x-inngest-signature": sign(KEY, body, NOW)}
    response = door.ask(way, inngest.CommRequest(method, url, headers, {}, body))
    verify(door, response, size=len(body) + len(method), method=method)


replies = st.builds(
    HttpResponse,
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 500, 503]),
    st.just({}),
    st.sampled_from([b"", b"{}", b'{"ok":true}', b'{"error":"no"}', b"<html>", b"\xff"])
    | damage.damaged(),
)


@modes
@ways
@fuzzed(
    said=replies,
    headers=damage.headers,
    query=damage.queries(["1"]),
    body=st.sampled_from([b"", b"{}", b'{"url":"http://a/b"}']) | damage.damaged(),
    url=st.sampled_from(URLS),
    signed=st.booleans(),
)
def test_any_registration(
    mode: str,
    way: str,
    said: HttpResponse,
    headers: dict[str, str],
    query: dict[str, str],
    body: bytes,
    url: str,
    signed: bool,
) -> None:
    door = DOORS[mode]
    if signed:
        headers = {**headers, "x-inngest-signature": sign(FALLBACK, body, NOW)}
    request = inngest.CommRequest("PUT", url, headers, query, body)
    response = door.ask(way, request, Backstage(other=said))
    verify(door, response, size=len(body) + len(said.body) + len(url))


moments = st.one_of(
    st.sampled_from([NOW, NOW - 299, NOW + 299]).map(str),
    st.sampled_from([0, -1, NOW - 301, NOW + 301, NOW * 1000, 10**14, 10**40, 2**63]).map(str),
    st.sampled_from(["", "+1", "1e9", "٣", "１２３", " 1", "0x1", "1_0", "NaN", "9" * 5000, "1.0"]),
    st.text(max_size=5),
)
keys = st.sampled_from([KEY, FALLBACK, "signkey-test-00", "", KEY.rpartition("-")[2]])


@st.composite
def signatures(draw: st.DrawFn, body: bytes) -> str:
    """A signature that is good, or made with something else, or put together otherwise."""
    signed = draw(st.sampled_from([body, body, b"", body + b" "]))
    made_at = draw(st.just(NOW) | st.sampled_from([NOW - 299, NOW - 301, NOW + 301, 0]))
    good = sign(draw(keys), signed, made_at).partition("&s=")[2]
    s = draw(
        st.sampled_from([good, good, good, good.upper(), good[:-1], good + "0", "", "é", "0" * 64])
        | st.text(max_size=6)
    )
    t = draw(st.just(str(made_at)) | moments)
    shape = draw(
        st.sampled_from(
            ["t={t}&s={s}"] * 4
            + ["s={s}&t={t}", "t={t}", "s={s}", "t={t}&s={s}&t={t}", "t=1&s=0&t={t}&s={s}"]
            + ["t={t}&s={s}&s=0", "t={t};s={s}", "t={t}&s={s},t={t}&s={s}", "T={t}&S={s}", "{s}"]
            + ["t={t}&s={s}&", "&t={t}&&s={s}", "t={t}=&s={s}", " t={t}& s={s}", "t={t}&s={s}&x=1"]
        )
    )
    return shape.format(t=t, s=s)


@st.composite
def signed_requests(draw: st.DrawFn) -> tuple[bytes, str]:
    body = draw(st.sampled_from([CALL, CALL, b"", b"null", b"\xff", b'{"b": 1.0,"a": 2}']))
    return body, draw(signatures(body) | damage.texts)


@ways
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@fuzzed(case=signed_requests(), kind=st.sampled_from([{}, {"x-inngest-sync-kind": "in_band"}]))
def test_any_signature(
    way: str, method: str, case: tuple[bytes, str], kind: dict[str, str]
) -> None:
    body, signature = case
    headers = {"x-inngest-signature": signature, **kind}
    query = {"fnId": FUNCTIONS[0], "stepId": "step"}
    response = CLOUD.ask(way, inngest.CommRequest(method, URL, headers, query, body))
    assert (response.status != 401) == is_signed(signature, body)
    verify(CLOUD, response, size=len(body))

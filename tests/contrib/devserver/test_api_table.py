"""A walk through everything that the interface answers, and how its lists are paged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contrib.devserver.live import Call, Reply, Running, StandIn, eventually, nap, stand_in


@pytest.fixture(scope="module")
def app() -> Iterator[StandIn]:
    def answer(call: Call) -> Reply:
        if call.query["fnId"] == "tab-nap":
            return Reply(206, [nap("1h")])
        return Reply(200, {"n": 1})

    with stand_in(answer) as found:
        yield found


@pytest.fixture(scope="module")
def known(server: Running, app: StandIn) -> dict[str, str]:
    """Ids of things that are there."""
    app.register(server, "tab", app.function("tab", "f"), app.function("tab", "nap"))
    event = server.send("tab/f")
    (run,) = server.ended_runs(event)
    asleep = server.send("tab/nap")
    return {"event": event, "run": run["id"], "asleep": server.waiting(asleep, "SLEEP")["id"]}


GETS = [
    "/health",
    "/dev",
    "/openapi.json",
    "/",
    "/v0/runs/{asleep}/actions",
    "/v0/runs/{asleep}/batch",
    "/v1/events",
    "/v1/events?name=tab/f&limit=1",
    "/v1/events/{event}",
    "/v1/events/{event}/runs",
    "/v1/runs/{run}",
    "/v1/runs/{run}/jobs",
    "/v1/apps/tab/functions",
    "/v2/runs?limit=1&status=COMPLETED&appId=tab&functionId=f&order=asc&includeOutput=true",
    "/v2/runs?from=2020-01-01T00:00:00Z&until=2099-01-01T00:00:00Z&timeField=ENDED_AT",
    "/v2/runs?isDeferred=false",
    "/v2/runs/{run}?includeOutput=true",
    "/v2/runs/{run}/trace?includeOutput=true",
    "/v2/events/{event}/runs?includeOutput=true",
    "/v2/apps",
    "/v2/apps/tab",
    "/v2/apps/tab/functions",
    "/v2/apps/tab/functions/f",
    "/v2/apps/tab/functions/tab-f",
    "/v2/apps/tab/functions/f/runs",
    "/v2/account",
    "/v2/envs",
    "/v2/keys/events",
    "/v2/keys/signing",
    "/v2/health",
]


@pytest.mark.parametrize("path", GETS)
def test_what_can_be_read_is_answered_and_has_a_head(
    server: Running, known: dict[str, str], path: str
) -> None:
    path = path.format(**known)
    addresses = [path, f"/api{path}"] if path.startswith("/v2") else [path]
    for address in addresses:
        response = server.http.get(address)
        assert response.status_code == 200, response.text
        assert response.json() is not None
        head = server.http.head(address)
        assert (head.status_code, head.content) == (200, b"")


def test_what_a_run_has_before_it_is_told(server: Running, known: dict[str, str]) -> None:
    (job,) = server.get(f"/v1/runs/{known['asleep']}/jobs")["data"]
    assert (job["kind"], job["attempt"], job["position"]) == ("sleep", 0, 0)
    assert job["at"].endswith("Z")
    assert server.get(f"/v1/runs/{known['run']}/jobs")["data"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/e/k", {"name": "tab/x"}, 200),
        ("POST", "/invoke/tab-f", {"data": {}}, 200),
        ("POST", "/fn/register", {"appName": "other", "functions": []}, 200),
        ("DELETE", "/fn/remove?url=http://nope/", None, 404),
        ("POST", "/v0/gql", {"query": "{ apps { id } }"}, 200),
        ("POST", "/v1/signals", {"signal": "nobody"}, 404),
        ("POST", "/v1/realtime/token", [], 201),
        ("POST", "/v1/realtime/publish?channel=a&topic=b", {"n": 1}, 200),
        ("POST", "/v2/events", {"name": "tab/x"}, 200),
        ("POST", "/v2/apps/tab/functions/f/invoke", {"data": {}}, 200),
        ("POST", "/v2/runs/{run}/rerun", None, 200),
        ("POST", "/v2/runs/{run}/cancel", None, 409),
        ("DELETE", "/v1/runs/{run}", None, 200),
    ],
)
def test_what_can_be_changed_is(
    server: Running, known: dict[str, str], method: str, path: str, body: Any, status: int
) -> None:
    response = server.http.request(method, path.format(**known), json=body)
    assert response.status_code == status, response.text


@pytest.mark.parametrize("name", ["sessions", "experiments", "insights", "webhooks", "sandboxes"])
@pytest.mark.parametrize("rest", ["", "/x", "/x/y"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_only_the_cloud_has_is_said_to_be_missing(
    server: Running, name: str, rest: str, method: str
) -> None:
    response = server.http.request(method, f"/api/v2/{name}{rest}")
    assert response.status_code == 501
    assert response.json()["errors"][0]["code"] == "not_implemented"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/e/demo", "POST, OPTIONS"),
        ("/v2/runs", "GET, HEAD, OPTIONS"),
        ("/v1/runs/x", "GET, DELETE, HEAD, OPTIONS"),
    ],
)
def test_options_tell_what_is_allowed(server: Running, path: str, allowed: str) -> None:
    response = server.http.options(path)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["allow"] == allowed
    refused = server.http.request("PATCH", path)
    assert refused.status_code == 405
    assert refused.headers["allow"]


# --- pages ------------------------------------------------------------------------------------


def pages(server: Running, path: str, **query: Any) -> list[list[str]]:
    """Follow the cursors of a list; give the ids of each page."""
    found: list[list[str]] = []
    more: dict[str, Any] = {}
    while True:
        document = server.get(path, **query, **more)
        found.append([one["id"] for one in document.get("data", [])])
        cursor = document["page"].get("cursor")
        assert document["page"].get("hasMore", False) == bool(cursor)
        more = {"cursor": cursor}
        if cursor is None:
            return found


def test_apps_and_functions_are_paged_by_name(server: Running, app: StandIn) -> None:
    names = [f"page-{n}" for n in range(5)]
    for name in names:
        app.register(server, name, *(app.function(name, f"f{n}") for n in range(3)))
    listed = pages(server, "/v2/apps", limit=2)
    assert all(len(page) <= 2 for page in listed)
    assert [one for page in listed for one in page if one.startswith("page-")] == names
    assert pages(server, "/v2/apps/page-0/functions", limit=2) == [["f0", "f1"], ["f2"]]


def test_the_runs_of_an_event_are_paged(server: Running, app: StandIn) -> None:
    same = {"triggers": [{"event": "many/start"}]}
    app.register(server, "many", *(app.function("many", f"f{n}", **same) for n in range(5)))
    event = server.send("many/start")
    eventually(lambda: len(server.runs_of(event)) == 5)
    listed = pages(server, f"/v2/events/{event}/runs", limit=2)
    assert [len(page) for page in listed] == [2, 2, 1]
    assert len({one for page in listed for one in page}) == 5


@pytest.mark.parametrize("path", ["/v2/apps", "/v2/runs", "/v2/apps/tab/functions"])
def test_a_cursor_of_something_else_is_refused(
    server: Running, known: dict[str, str], path: str
) -> None:
    for cursor in ("nonsense", "é", "W10="):
        response = server.http.get(path, params={"cursor": cursor})
        assert response.status_code == 400
        assert response.json()["errors"][0]["message"] == "Cursor is invalid"
    assert server.http.get("/v2/runs", params={"isDeferred": "maybe"}).status_code == 400

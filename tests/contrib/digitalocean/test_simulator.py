"""The simulator treats events and responses as the platform does."""

from __future__ import annotations

from typing import Any

import pytest

from inngest_contrib.digitalocean.simulator import (
    FULL_PATH,
    FUNCTION_NAME,
    NAMESPACE,
    DigitalOceanSimulator,
)


class Recording:
    """A main that keeps what it is handed."""

    def __init__(self, returned: Any = None) -> None:
        self.returned = {"body": {}} if returned is None else returned
        self.event: Any = None
        self.context: Any = None

    def __call__(self, event: Any, context: Any) -> Any:
        self.event, self.context = event, context
        return self.returned


def ask(main: Any, path: str = FULL_PATH, **request: Any) -> Any:
    return DigitalOceanSimulator(main).app.test_client().open(path, **request)


def test_a_request_is_a_raw_web_event() -> None:
    main = Recording()
    ask(
        main,
        method="POST",
        query_string="a=1&a=2&b",
        headers={"X-Thing": "Yes", "Content-Type": "application/json"},
        data=b'{"n":1}',
    )
    headers = main.event["http"].pop("headers")
    assert main.event == {
        "http": {
            "body": '{"n":1}',
            "isBase64Encoded": False,
            "method": "POST",
            "path": "",
            "queryString": "a=1&a=2&b",
        }
    }
    assert headers["x-thing"] == "Yes"
    assert headers["content-type"] == "application/json"
    assert [name for name in headers if name != name.lower()] == []


def test_a_binary_body_is_in_base64() -> None:
    main = Recording()
    ask(main, method="PUT", data=b"\xff\xfe")
    assert main.event["http"]["body"] == "//4="
    assert main.event["http"]["isBase64Encoded"] is True


@pytest.mark.parametrize(
    ("path", "rest"),
    [("/", ""), (FULL_PATH, ""), (f"{FULL_PATH}/", ""), (f"{FULL_PATH}/a/b", "/a/b")],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_what_follows_the_name_of_the_function_is_its_path(
    path: str, rest: str, method: str
) -> None:
    main = Recording()
    assert ask(main, path, method=method).status_code == 200
    assert main.event["http"]["path"] == rest
    assert main.event["http"]["method"] == method


def test_another_path_is_no_function() -> None:
    assert ask(Recording(), "/api/v1/web/fn-1/other").status_code == 404


def test_the_context_tells_of_host_name_and_time() -> None:
    main = Recording()
    ask(main, headers={"host": "faas.example:8000"})
    context = main.context
    assert context.api_host == "http://faas.example:8000"
    assert context.function_name == FUNCTION_NAME
    assert f"/api/v1/web{context.function_name}" == FULL_PATH
    assert context.namespace == NAMESPACE
    assert 0 < context.get_remaining_time_in_millis() <= 30_000


@pytest.mark.parametrize(
    ("returned", "status", "body", "content_type"),
    [
        ({"body": {"b": 1, "a": "é"}}, 200, '{"b":1,"a":"é"}', "application/json"),
        ({"body": [1]}, 200, "[1]", "application/json"),
        ({"body": {}, "statusCode": 201}, 201, "{}", "application/json"),
        ({"body": "<p>"}, 200, "<p>", "text/html; charset=utf-8"),
        ({"body": "a", "headers": {"Content-Type": "text/plain"}}, 200, "a", "text/plain"),
        ({"body": "WzFd", "headers": {"Content-Type": "application/json"}}, 200, "[1]", None),
        ({"body": "WzFd", "headers": {"content-type": "application/json; x=y"}}, 200, "[1]", None),
        ({}, 204, "", None),
        ({"body": ""}, 204, "", None),
        ({"body": None, "statusCode": 200}, 200, "", None),
    ],
)
def test_a_response_is_written_as_the_platform_does(
    returned: dict[str, Any], status: int, body: str, content_type: str | None
) -> None:
    response = ask(Recording(returned))
    assert response.status_code == status
    assert response.text == body
    if content_type:
        assert response.headers["content-type"] == content_type


def test_text_that_should_be_json_in_base64_is_refused_as_by_the_platform() -> None:
    returned = {"body": '{"a":1}', "headers": {"content-type": "application/json"}}
    response = ask(Recording(returned))
    assert response.status_code == 400
    assert "did not match" in response.json["error"]

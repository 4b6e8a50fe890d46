"""`sync`: have an app register with its server, and see what it says."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import click

from ..env import Config, check_origin
from ..wire.http import HttpRequest, HttpResponse
from ..wire.names import Header
from ..wire.signing import sign
from .api import Api, reason
from .failure import Failure, WrongInput
from .show import json_option, show_json
from .subject import Command, Subject, client_option, pass_subject

_USUAL_PATH = "/api/inngest"


@click.command("sync", cls=Command)
@click.argument("url", required=False)
@client_option
@json_option
@pass_subject
def sync(subject: Subject, url: str | None, as_json: bool) -> None:
    """
    Ask an app to register with its server.

    URL is the app's address. Without a path it is /api/inngest; without URL, what
    INNGEST_SERVE_ORIGIN and INNGEST_SERVE_PATH say. The app uses its own settings: which
    server, and which keys.
    """
    client = subject.client
    target = endpoint(url, client.config)
    response = Api(client).send(_request(target, client.config))
    if not 200 <= response.status < 300:
        raise Failure(_refusal(target, response))
    document = _document(response)
    if as_json:
        show_json({"url": target, "status": response.status, "reply": document})
        return
    changed = document.get("modified") if isinstance(document, dict) else None
    click.echo(f"{target}: registered" + ("; nothing has changed" if changed is False else ""))


def endpoint(url: str | None, config: Config) -> str:
    """The address of an app, complete; WrongInput if there is none."""
    path = config.serve_path or _USUAL_PATH
    if url is None:
        if config.serve_origin is None:
            raise WrongInput(
                "which app? Give its address, such as http://127.0.0.1:8000, or set "
                "INNGEST_SERVE_ORIGIN"
            )
        url = config.serve_origin
    complete = check_origin("URL", url if "://" in url else f"http://{url}")
    if urlsplit(complete).path in ("", "/"):
        return f"{complete.rstrip('/')}/{path.lstrip('/')}"
    return complete


def _request(url: str, config: Config) -> HttpRequest:
    """A PUT, signed where there is a key: an app may refuse one that is not."""
    headers: dict[str, str] = {Header.CONTENT_TYPE: "application/json"}
    for key in config.signing_keys[:1]:
        headers[Header.SIGNATURE] = sign(key, b"", int(time.time()))
    return HttpRequest("PUT", url, headers, b"", config.request_timeout)


def _refusal(url: str, response: HttpResponse) -> str:
    advice = {
        401: "; it wants a request signed with its signing key: set INNGEST_SIGNING_KEY",
        404: "; is the path right? Give the whole address, such as http://127.0.0.1:8000/inngest",
        405: "; what answers there is no Inngest endpoint",
    }.get(response.status, "")
    said = reason(response) or "it gave no reason"
    return f"{url} answered with status {response.status}: {said}{advice}"


def _document(response: HttpResponse) -> Any:
    try:
        return json.loads(response.body)
    except ValueError:
        return None

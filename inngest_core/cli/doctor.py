"""`doctor`: the settings, the server and the app, each looked at, and what to do about it."""

from __future__ import annotations

import email.utils
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from ..env import Config
from ..errors import ConfigError
from ..version import VERSION
from ..wire.http import HttpRequest, HttpResponse
from ..wire.names import SIGNATURE_WINDOW, Header
from ..wire.signing import hash_signing_key, sign
from .api import Api, reason, record_of, segment, within
from .failure import Failure
from .show import json_option, show_json, table
from .subject import Command, Subject, client_option, pass_subject
from .sync import endpoint

if TYPE_CHECKING:
    from ..client import Inngest

OK, NOTE, WRONG = "ok", "note", "wrong"
_TOLERABLE_SKEW = 30
_MANY_APPS = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has shown. remedy: what to do; None where nothing is to be done."""

    check: str
    state: str
    found: str
    remedy: str | None = None


@click.command("doctor", cls=Command)
@click.option("--url", metavar="URL", help="The address of the app, to ask it as well.")
@client_option
@json_option
@pass_subject
def doctor(subject: Subject, url: str | None, as_json: bool) -> None:
    """
    Tell what is wrong, and what to do about it.

    It looks at the settings, the server and the app. No key is shown. The status is 1 if
    something is wrong.
    """
    findings = [*examine(subject, url)]
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    if any(finding.state == WRONG for finding in findings):
        raise click.exceptions.Exit(1)


def _show(findings: list[Finding]) -> None:
    rows = [[one.state, one.check, one.found] for one in findings]
    for finding, line in zip(findings, table(rows), strict=True):
        click.echo(line)
        if finding.remedy:
            click.echo(f"       -> {finding.remedy}")


def examine(subject: Subject, url: str | None) -> Iterator[Finding]:
    """Every finding, in the order in which they depend on each other."""
    yield Finding("version", OK, f"inngest-core {VERSION}, Python {platform.python_version()}")
    try:
        client = subject.client
    except ConfigError as error:
        yield Finding("settings", WRONG, str(error), "put it right; the rest depends on it")
        return
    config = client.config
    yield _mode(config)
    yield from _keys(config)
    yield from _plugins(client)
    api = Api(client)
    reachable = _api(api)
    yield reachable
    if reachable.state != WRONG:
        yield from _server(api, config)
        if subject.is_known:
            yield _registered(api, client)
    yield _events(api, config)
    yield from _place(config)
    if url is not None or config.serve_origin is not None:
        yield _app(api, config, url)


# ---- what it was told


def _mode(config: Config) -> Finding:
    if config.is_production:
        return Finding("mode", OK, "cloud: requests are signed; INNGEST_DEV=1 is for local work")
    return Finding("mode", OK, "dev: nothing is signed, by INNGEST_DEV or is_production=False")


def _keys(config: Config) -> Iterator[Finding]:
    names = ("INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK")
    for name, key in zip(names, (config.signing_key, config.signing_key_fallback), strict=True):
        yield from _signing_key(name, key, config)
    if config.event_key is None and config.is_production:
        remedy = "set INNGEST_EVENT_KEY, or Inngest(event_key=...)"
        yield Finding("event key", WRONG, "there is none, and sending needs it", remedy)
    else:
        found = "there is one" if config.event_key else "none, and dev mode needs none"
        yield Finding("event key", OK, found)


def _signing_key(name: str, key: str | None, config: Config) -> Iterator[Finding]:
    what = "signing key" if name.endswith("KEY") else "fallback key"
    if key is None:
        if what == "fallback key":
            return
        if config.is_production:
            remedy = f"set {name}, or Inngest(signing_key=...), to that of your environment"
            yield Finding(what, WRONG, "there is none, and cloud mode needs one", remedy)
        else:
            yield Finding(what, OK, "none, and dev mode needs none")
        return
    try:
        hash_signing_key(key)
    except ConfigError as error:
        yield Finding(what, WRONG, "it is malformed", str(error))
    else:
        yield Finding(what, OK, "there is one, and its form is right")


def _plugins(client: Inngest) -> Iterator[Finding]:
    loaded = client.engine.plugins.loaded
    broken = [one for one in loaded.installed.values() if (one.problem or "").startswith("broken")]
    for one in broken:
        remedy = f"repair or uninstall {one.origin}, or set INNGEST_DISABLE_PLUGINS={one.name}"
        yield Finding("plugin", WRONG, f"{one.name}: {one.problem}", remedy)
    if not broken:
        yield Finding("plugins", OK, "every installed one that is wanted is loaded")


# ---- the server


def _api(api: Api) -> Finding:
    try:
        started = time.monotonic()
        response = api.reply("GET", "/v2/health")
    except Failure as failure:
        return Finding("server", WRONG, f"{api.origin} gives no reply", failure.format_message())
    except ConfigError as error:
        return Finding("server", WRONG, f"{api.origin} was not asked", str(error))
    took = round((time.monotonic() - started) * 1000)
    return Finding("server", OK, f"{api.origin} replies after {took} ms, with {response.status}")


def _server(api: Api, config: Config) -> Iterator[Finding]:
    response = api.reply("GET", "/v2/account")
    yield from _clock(response)
    if response.status in (401, 403):
        remedy = "take INNGEST_SIGNING_KEY from the environment that this server serves"
        yield Finding("access", WRONG, "the server refuses our signing key", remedy)
    elif response.status == 200:
        found = "the server takes our key" if config.signing_keys else "the server asks for no key"
        yield Finding("access", OK, found)
    else:
        said = reason(response) or "no reason"
        yield Finding("access", NOTE, f"it cannot be told: status {response.status}, {said}")


def _clock(response: HttpResponse) -> Iterator[Finding]:
    text = response.headers.get("date")
    if text is None:
        return
    try:
        server = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return
    skew = round(time.time() - server)
    if abs(skew) <= _TOLERABLE_SKEW:
        yield Finding("clock", OK, "that of this machine and the server's agree")
        return
    which = "ahead of" if skew > 0 else "behind"
    state = WRONG if abs(skew) >= SIGNATURE_WINDOW else NOTE
    remedy = f"set this machine's clock: signatures count for {SIGNATURE_WINDOW} s"
    yield Finding("clock", state, f"it is {abs(skew)} s {which} the server's", remedy)


def _registered(api: Api, client: Inngest) -> Finding:
    response = api.reply("GET", f"/v2/apps/{segment(client.app_id)}")
    if response.status == 200:
        try:
            return _synced(client, record_of(response))
        except Failure as failure:
            return Finding("app", WRONG, "it cannot be told", failure.format_message())
    if response.status == 404:
        remedy = "start the app, and sync it: inngest-core sync URL"
        return Finding("app", WRONG, f"the server does not know {client.app_id}", remedy)
    said = reason(response) or "no reason"
    return Finding("app", NOTE, f"it cannot be told: status {response.status}, {said}")


def _synced(client: Inngest, app: dict[str, Any]) -> Finding:
    url, error = within(app, "latestSync", "url"), within(app, "latestSync", "error")
    where = f" at {url}" if url else ""
    if error:
        remedy = "put it right, and sync the app again: inngest-core sync URL"
        found = f"the server could not sync {client.app_id}{where}: {error}"
        return Finding("app", WRONG, found, remedy)
    count = app.get("functionCount", "?")
    found = f"the server knows {client.app_id}{where}, with {count} of its functions"
    own = sum(1 if one.on_failure is None else 2 for one in client.functions)
    if str(count) not in (str(own), "?"):
        remedy = "sync the app again: inngest-core sync URL"
        return Finding("app", NOTE, f"{found}, and the code has {own}", remedy)
    return Finding("app", OK, found)


def _events(api: Api, config: Config) -> Finding:
    request = HttpRequest("GET", f"{config.event_origin}/health", {}, b"", config.request_timeout)
    try:
        api.send(request)
    except Failure as failure:
        found = f"{config.event_origin} gives no reply"
        return Finding("events", WRONG, found, failure.format_message())
    return Finding("events", OK, f"{config.event_origin} replies")


# ---- the app


def _place(config: Config) -> Iterator[Finding]:
    for name, value in (("serve origin", config.serve_origin), ("serve path", config.serve_path)):
        if value:
            yield Finding(name, OK, f"{value}, whatever a request says")
    if config.serve_origin is None:
        found = "as each request says"
        remedy = (
            "behind a proxy that changes it, set INNGEST_SERVE_ORIGIN"
            if config.is_production
            else None
        )
        yield Finding("serve origin", OK, found, remedy)


def _app(api: Api, config: Config, url: str | None) -> Finding:
    target = endpoint(url, config)
    headers: dict[str, str] = {}
    for key in config.signing_keys[:1]:
        headers[Header.SIGNATURE] = sign(key, b"", int(time.time()))
    try:
        response = api.send(HttpRequest("GET", target, headers, b"", config.request_timeout))
    except Failure as failure:
        return Finding("endpoint", WRONG, f"{target} gives no reply", failure.format_message())
    return _endpoint(target, response, config)


def _endpoint(target: str, response: HttpResponse, config: Config) -> Finding:
    try:
        document = json.loads(response.body)
    except ValueError:
        document = None
    if response.status == 401:
        remedy = "give this command and the app the same INNGEST_SIGNING_KEY"
        return Finding("endpoint", WRONG, f"{target} refuses our signature", remedy)
    if response.status != 200 or not isinstance(document, dict) or "mode" not in document:
        remedy = "check host and path; the usual path is /api/inngest"
        found = f"{target} answers with {response.status}, and is no Inngest endpoint"
        return Finding("endpoint", WRONG, found, remedy)
    if document["mode"] != config.kind.value:
        found = f"{target} is in {document['mode']} mode, and this command in {config.kind.value}"
        return Finding("endpoint", WRONG, found, "give both the same INNGEST_DEV")
    return Finding("endpoint", OK, f"{target} serves {document.get('function_count')} functions")

"""What a worker says of itself when it connects: read and checked, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.connect.messages import BadFrame, parse
from inngest_contrib.devserver.engine.commands import SyncApp
from inngest_contrib.devserver.events import EventRefused, read_json
from inngest_contrib.devserver.registration import read_registration
from inngest_core.connect import connect_pb2 as pb
from inngest_core.wire.ids import is_ulid

MAX_APPS = 10
POLICY, INTERNAL = 1008, 1011
INVALID_PAYLOAD = "connect_worker_hello_invalid_payload"


class Refused(Exception):
    """A worker is not let in. The code and the reason close its socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True, frozen=True)
class OfferedApp:
    """An app that a worker runs. `functions`: a JSON array, as it came."""

    name: str
    version: str
    functions: bytes


@dataclass(slots=True, frozen=True, kw_only=True)
class Introduction:
    """What a worker says of itself."""

    connection_id: str
    instance_id: str
    apps: tuple[OfferedApp, ...]
    sdk_language: str
    sdk_version: str
    attributes: Mapping[str, Any]
    limit: int | None
    """Requests at once; None: any number."""
    says_when_ready: bool
    """It gets no request before it says that it is ready."""


def introduce(payload: bytes, is_session: Callable[[str], bool]) -> Introduction:
    """Read the first message of a worker. Raises Refused."""
    try:
        said = parse(pb.WorkerConnectRequestData, payload)
    except BadFrame as error:
        raise Refused(POLICY, INVALID_PAYLOAD) from error
    if not is_ulid(said.connection_id) or not said.instance_id:
        raise Refused(POLICY, INVALID_PAYLOAD)
    if not is_session(said.auth_data.session_token):
        raise Refused(POLICY, "connect_authentication_failed")
    if not said.apps or not all(app.app_name for app in said.apps):
        raise Refused(POLICY, INVALID_PAYLOAD)
    if len(said.apps) > MAX_APPS:
        raise Refused(POLICY, "connect_too_many_apps_per_connection")
    _check_json(said)
    return Introduction(
        connection_id=said.connection_id,
        instance_id=said.instance_id,
        apps=tuple(OfferedApp(a.app_name, a.app_version, a.functions) for a in said.apps),
        sdk_language=said.sdk_language,
        sdk_version=said.sdk_version,
        attributes=_attributes(said.system_attributes),
        limit=said.max_worker_concurrency if said.max_worker_concurrency > 0 else None,
        says_when_ready=said.worker_manual_readiness_ack,
    )


def _check_json(said: pb.WorkerConnectRequestData) -> None:
    for text, kind in ((said.capabilities, dict), *((app.functions, list) for app in said.apps)):
        try:
            right = isinstance(read_json(text), kind)
        except EventRefused as error:
            raise Refused(INTERNAL, "connect_internal_error") from error
        if not right:
            raise Refused(INTERNAL, "connect_internal_error")


def _attributes(given: pb.SystemAttributes) -> dict[str, Any]:
    return {"cpu_cores": given.cpu_cores, "mem_bytes": given.mem_bytes, "os": given.os}


def registrations(
    worker: Introduction, problem_of: Callable[[str], str | None], kind: str
) -> list[SyncApp]:
    """The apps of a worker, as if each had registered itself. Raises RegistrationRefused."""
    return [read_registration(_payload(worker, app), problem_of, kind=kind) for app in worker.apps]


def _payload(worker: Introduction, app: OfferedApp) -> bytes:
    facts = {
        "url": url_of(app.name),
        "deployType": "connect",
        "sdk": f"{worker.sdk_language}:{worker.sdk_version}",
        "framework": "connect",
        "appName": app.name,
        "appVersion": app.version,
    }
    return json.dumps(facts).encode()[:-1] + b', "functions": ' + app.functions + b"}"


def url_of(app: str) -> str:
    """What stands for the address of an app that has none."""
    return f"connect://{app}"

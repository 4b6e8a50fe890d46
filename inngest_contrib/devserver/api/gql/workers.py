"""The questions about workers that are connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_contrib.devserver.api.context import Api
from inngest_contrib.devserver.api.gql.shapes import Shape
from inngest_core.wire.time import format_instant

if TYPE_CHECKING:
    from inngest_contrib.devserver.connect.connections import Connection


def find_workers(api: Api, **wish: Any) -> list[Connection]:
    """The connections that a filter lets through, in order."""
    if api.workers is None:
        return []
    from inngest_contrib.devserver.connect.lists import found

    return found(api.workers.gateway, **wish)


def find_worker(api: Api, connection_id: str) -> Shape | None:
    """One connection."""
    if api.workers is None:
        return None
    from inngest_contrib.devserver.connect.lists import by_id

    connection = by_id(api.workers.gateway, connection_id)
    return None if connection is None else worker_shape(api, connection)


def worker_shape(api: Api, connection: Connection, wanted: Any = None) -> Shape:
    """A connection; of its apps the first one of those `wanted`."""
    from inngest_contrib.devserver.connect.lists import status_of

    worker = connection.worker
    assert worker is not None
    assert api.workers is not None
    apps = [
        (app_id, name)
        for name, app_id in connection.app_ids.items()
        if wanted is None or app_id in map(str, wanted)
    ]
    app_id, name = apps[0] if apps else (None, None)
    closed = connection.closed
    return {
        "id": worker.connection_id,
        "gatewayId": api.workers.gateway.id,
        "instanceId": worker.instance_id,
        "status": status_of(connection),
        "connectedAt": format_instant(connection.opened.wall),
        "lastHeartbeatAt": format_instant(connection.heard.wall),
        "disconnectedAt": None if closed is None else format_instant(closed.wall),
        "sdkLang": worker.sdk_language,
        "sdkVersion": worker.sdk_version,
        "appID": app_id,
        "appName": name,
    }

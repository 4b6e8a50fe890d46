"""The connections of workers, as REST and GraphQL show them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from inngest_contrib.devserver.connect.connections import STATUS, Connection
from inngest_contrib.devserver.connect.gateway import Gateway
from inngest_contrib.devserver.connect.times import Moment
from inngest_core.connect import connect_pb2 as pb

_FIELDS = {"CONNECTED_AT": "opened", "LAST_HEARTBEAT_AT": "heard", "DISCONNECTED_AT": "closed"}


def listed(gateway: Gateway, app_id: str | None = None) -> list[dict[str, Any]]:
    """The connections there are, or those of an app, as REST lists them."""
    return [_shown(gateway, one) for one in gateway.connections if app_id in (None, *one.synced)]


def _shown(gateway: Gateway, connection: Connection) -> dict[str, Any]:
    worker = connection.worker
    assert worker is not None, "only workers that have introduced themselves are listed"
    seconds, ms = divmod(connection.heard.wall, 1000)
    return {
        "id": worker.connection_id,
        "gateway_id": gateway.id,
        "instance_id": worker.instance_id,
        "all_worker_groups": connection.groups,
        "synced_worker_groups": connection.synced,
        "status": int(STATUS[connection.phase]),
        "last_heartbeat_at": {"seconds": seconds, "nanos": ms * 1_000_000},
        "sdk_language": worker.sdk_language,
        "sdk_version": worker.sdk_version,
        "attributes": dict(worker.attributes),
    }


def found(
    gateway: Gateway,
    *,
    statuses: Collection[str] | None = None,
    app_ids: Collection[str] | None = None,
    time_field: str = "CONNECTED_AT",
    since: int | None = None,
    until: int | None = None,
    order: str = "CONNECTED_AT",
    ascending: bool = False,
) -> list[Connection]:
    """Connections in an order, also those that were closed last."""
    chosen = [
        one
        for one in (*gateway.connections, *gateway.ended)
        if (statuses is None or status_of(one) in statuses)
        and (app_ids is None or not set(app_ids).isdisjoint(one.synced))
        and _within(_wall(one, time_field), since, until)
    ]
    chosen.sort(key=lambda one: (_wall(one, order) or 0, one.link), reverse=not ascending)
    return chosen


def _wall(connection: Connection, field: str) -> int | None:
    moment: Moment | None = getattr(connection, _FIELDS[field])
    return None if moment is None else moment.wall


def _within(at: int | None, since: int | None, until: int | None) -> bool:
    if at is None:
        return since is None and until is None
    return (since is None or at >= since) and (until is None or at < until)


def status_of(connection: Connection) -> str:
    """The name of its status."""
    return pb.ConnectionStatus.Name(STATUS[connection.phase])


def by_id(gateway: Gateway, connection_id: str) -> Connection | None:
    """The connection of an id; the newest, where a worker has used it twice."""
    known = (*gateway.ended, *gateway.connections)
    return next(
        (
            one
            for one in reversed(known)
            if one.worker and one.worker.connection_id == connection_id
        ),
        None,
    )

"""What a person or a probe finds: the landing page, health, and the facts of /dev."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from inngest_contrib.devserver.api.context import Api
from inngest_contrib.devserver.api.replies import reply
from inngest_contrib.devserver.api.shapes import stored_config

ENDPOINTS = {
    "POST /e/{key}": "send events; without keys any text will do as a key",
    "POST /invoke/{app}-{function}": "run one function",
    "POST /fn/register": "register an app (SDKs do this)",
    "GET /v2/runs": "runs, newest first",
    "GET /v2/runs/{id}": "one run; ?includeOutput=true",
    "GET /v2/runs/{id}/trace": "its steps and attempts",
    "POST /v2/runs/{id}/cancel": "cancel it",
    "GET /v2/events/{id}/runs": "the runs of an event",
    "GET /v2/apps": "apps; /v2/apps/{app}/functions for their functions",
    "GET /v1/events": "events, newest first",
    "POST /v0/gql": "GraphQL",
    "POST /v2/runs/{id}/rerun": "repeat a run",
    "GET /metrics": "figures for Prometheus",
    "GET /openapi.json": "all of the interface",
    "GET /health": "is the server up",
    "GET /dev": "what this server is",
}


async def landing(api: Api, request: Request) -> Response:
    """GET /: name the endpoints, as a page for browsers and as JSON for everything else."""
    if "text/html" not in request.headers.get("accept", ""):
        return reply({"name": "inngest-core dev", "version": api.version, "endpoints": ENDPOINTS})
    rows = "".join(
        f"<tr><td><code>{escape(endpoint)}</code></td><td>{escape(use)}</td></tr>"
        for endpoint, use in ENDPOINTS.items()
    )
    apps = ", ".join(escape(app.name) for app in api.reads.apps() if app.name) or "none yet"
    return HTMLResponse(
        "<!doctype html><meta charset=utf-8><title>inngest-core dev</title>"
        f"<h1>inngest-core dev {escape(api.version)}</h1><p>Apps: {apps}</p><table>{rows}</table>"
    )


async def openapi(api: Api, request: Request) -> Response:
    """GET /openapi.json: what the interface is."""
    from inngest_contrib.devserver.api.openapi import document

    return reply({**document(), "info": {"title": "inngest-core dev", "version": api.version}})


async def health(api: Api, request: Request) -> Response:
    """GET /health."""
    return reply({"status": 200, "message": "OK"})


async def dev(api: Api, request: Request) -> Response:
    """GET /dev: by this SDKs find out that a development server runs here."""
    live = [function for function in api.reads.functions() if not function.archived]
    return reply(
        {
            "version": api.version,
            "authed": False,
            "startOpts": api.start_options,
            "functions": [stored_config(function) for function in live],
            "handlers": None,
            "isSingleNodeService": False,
            "isMissingSigningKey": False,
            "isMissingEventKeys": False,
            "features": {},
        }
    )

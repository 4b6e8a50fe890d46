"""
The watchman: one Tornado application, with a route of its own and the functions beside it.

`python -m examples.tornado.app` runs it; PORT says where.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
from typing import Any

from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

import inngest_core as inngest
from inngest_contrib.tornado import InngestHandler

client = inngest.Inngest(app_id="watchman")

Look = dict[str, Any]
"""What was seen: status and milliseconds."""


@client.create_function(fn_id="watch", trigger=inngest.TriggerEvent(event="site/added"))
async def watch(ctx: inngest.Context) -> Any:
    """Look at a site a few times, with pauses, and have a report made."""
    site: Any = ctx.event.data
    looks: list[Look] = []
    for number in range(site.get("times", 3)):
        if number:
            await ctx.step.sleep("pause", site.get("pause", "1m"))
        looks.append(await ctx.step.run("look", look, site["url"]))
    return await ctx.step.invoke("report", function=report, data={"looks": looks})


async def look(url: str) -> Look:
    """Fetch a page, on the loop that serves everything else."""
    response = await AsyncHTTPClient().fetch(url, raise_error=False)
    return {"status": response.code, "ms": round((response.request_time or 0) * 1000)}


@client.create_function(fn_id="report", trigger=inngest.TriggerEvent(event="site/report.wanted"))
def report(ctx: inngest.ContextSync) -> Any:
    """Sum up: a blocking function, which runs in a thread."""
    looks: Any = ctx.event.data["looks"]
    return ctx.step.run("sum up", sum_up, looks)


def sum_up(looks: list[Look]) -> Any:
    """Count what was seen."""
    up = [one for one in looks if one["status"] < 400]
    return {
        "looks": len(looks),
        "up": len(up),
        "median_ms": round(statistics.median([one["ms"] for one in looks])),
    }


class Sites(RequestHandler):
    """Takes a site to watch."""

    async def post(self) -> None:
        """Send the event that starts a run, and answer with its id."""
        event = inngest.Event(name="site/added", data=json.loads(self.request.body))
        (event_id,) = await client.send(event)
        self.set_status(202)
        self.finish({"event": event_id})


def make_app() -> Application:
    """Put the routes together. The XSRF check is for people; the Inngest server is none."""
    return Application(
        [
            ("/sites", Sites),
            ("/api/inngest", InngestHandler, {"client": client, "functions": [watch, report]}),
        ]
    )


async def main() -> None:
    """Serve until the process is interrupted."""
    sockets = bind_sockets(int(os.environ.get("PORT", "8888")), "127.0.0.1")
    server = HTTPServer(make_app())
    server.add_sockets(sockets)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        await client.aclose()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("good night")

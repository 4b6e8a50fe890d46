"""A Tornado app on Tornado's own server, which is told its port."""

import asyncio
import sys

from tornado.web import Application

from inngest_contrib.testing.conformance.live_app import live_client
from inngest_contrib.tornado import serve


async def main() -> None:
    """Serve until the process is ended."""
    app = Application()
    serve(app, live_client())
    app.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

"""The bare ASGI app, for a real server."""

from inngest_contrib.asgi import serve
from inngest_contrib.testing.conformance.live_app import live_client

app = serve(live_client())

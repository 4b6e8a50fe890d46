"""The bare WSGI app, for a real server."""

from inngest_contrib.testing.conformance.live_app import live_client
from inngest_contrib.wsgi import serve

app = serve(live_client())

"""A FastAPI app, for a real server."""

from fastapi import FastAPI

from inngest_contrib.fastapi import create_router
from inngest_contrib.testing.conformance.live_app import live_client

app = FastAPI()
app.include_router(create_router(live_client()))

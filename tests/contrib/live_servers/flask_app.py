"""A Flask app, for a real server."""

from flask import Flask

from inngest_contrib.flask import create_blueprint
from inngest_contrib.testing.conformance.live_app import live_client

app = Flask("live")
app.register_blueprint(create_blueprint(live_client()))

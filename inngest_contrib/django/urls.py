"""
The project's endpoint: ``path("api/", include("inngest_contrib.django.urls"))``.

Everything is read from the settings at the first request, so that a mistake in them
is a reply that says so and no failure of all other URLs.
"""

from __future__ import annotations

from inngest_core import CommHandler

from . import conf, discovery
from .adapter import Endpoint, new_handler, url_of
from .project import project


def _project_handler() -> CommHandler:
    settings = conf.current()
    discovery.require_all()
    return new_handler(project.client(), **settings.endpoint_arguments())


endpoint = Endpoint(_project_handler)
conf.on_change(endpoint.forget)

urlpatterns = [url_of("inngest", endpoint)]

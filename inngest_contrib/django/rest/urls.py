"""The REST API as it is by default, for admins: ``include("inngest_contrib.django.rest.urls")``."""

from __future__ import annotations

from .routes import router

urlpatterns = router().urls

"""The URLs of the project under test."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("api/", include("inngest_contrib.django.urls")),
]

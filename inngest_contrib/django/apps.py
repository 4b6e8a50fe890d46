"""
The Django app: finds the project's functions and says what is wrong with its settings.

Law: nothing is started here. Under autoreload ``ready`` runs in two processes.
"""

from __future__ import annotations

from django.apps import AppConfig


class InngestConfig(AppConfig):
    """``INSTALLED_APPS += ["inngest_contrib.django"]``, in any place."""

    name = "inngest_contrib.django"
    label = "inngest"
    verbose_name = "Inngest"

    def ready(self) -> None:
        """Import the modules with functions. What fails in them fails here, by its name."""
        from . import checks, discovery

        checks.register()
        discovery.discover()

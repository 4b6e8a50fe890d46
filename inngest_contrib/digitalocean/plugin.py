"""What the plugin system is told of this adapter."""

from inngest_core import __version__, hookimpl
from inngest_core.plugin.types import Framework


@hookimpl
def inngest_framework() -> Framework:
    """Describe the adapter."""
    return Framework(
        name="digitalocean", version=__version__, serve="inngest_contrib.digitalocean:serve"
    )

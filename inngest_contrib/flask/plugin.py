"""What the plugin system is told of this adapter."""

from inngest_core.plugin.types import Framework, hookimpl
from inngest_core.version import VERSION


@hookimpl
def inngest_framework() -> Framework:
    """Describe the adapter."""
    return Framework(name="flask", version=VERSION, serve="inngest_contrib.flask:serve")

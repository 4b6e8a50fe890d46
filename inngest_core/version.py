"""
The one place that states the version.

setup.cfg reads it for the metadata and the SDK sends it on the wire, so nothing has to ask
importlib.metadata at import time.
"""

VERSION = "0.1.0"

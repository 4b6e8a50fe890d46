"""The drivers that perform effects, blocking or on an event loop, and the default transports."""

"""Each story once: answering a call, sending events, registering an app."""

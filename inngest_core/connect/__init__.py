"""A worker that keeps a connection open to the server, and needs no inbound HTTP."""

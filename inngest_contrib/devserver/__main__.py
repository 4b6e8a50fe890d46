"""`python -m inngest_contrib.devserver`: the same as `inngest-core dev`."""

from inngest_contrib.devserver.command import dev

dev(prog_name="python -m inngest_contrib.devserver")

"""The numbers that bound a run, as the real server has them. Sizes in bytes, times in ms."""

from __future__ import annotations

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MAX_REPLY = 8 * 1024 * 1024
MAX_STEP_OUTPUT = 4 * 1024 * 1024
MAX_STATE = 33_554_432
MAX_STEPS = 1000
MAX_BATCH = 10 * 1024 * 1024
"""A batch of this size waits for no further event."""
MAX_INLINE_STATE = 4 * 1024 * 1024 - 1024
"""Steps and events beyond this size are fetched by the SDK (`use_api`)."""

MAX_PAUSE = 366 * DAY
MAX_DEFERS = 20
MAX_DEFER_INPUT = MAX_STEP_OUTPUT
MAX_DEFER_META = 32 * 1024
MAX_METADATA = 64 * 1024
MAX_RUN_METADATA = 1024 * 1024
MAX_RUN_SPANS = 5000
"""Spans that the app of a run has traced itself. Ours."""

INVOKE_TIMEOUT = 365 * DAY
CANCEL_WINDOW = 365 * DAY
DEDUPE_WINDOW = DAY

DEFAULT_RETRIES = 4
MAX_RETRIES = 20

MAX_IDLE_CALLS = 100
"""Calls in a row that bring nothing new before a run counts as stuck. Ours: see engine.py."""

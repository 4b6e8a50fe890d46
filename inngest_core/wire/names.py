"""The words of the protocol: headers, query parameters, kinds and limits."""

from __future__ import annotations

import enum

SDK_LANGUAGE = "py"
REQUEST_VERSION = "2"
SCHEMA_VERSION = "2024-05-24"
REGISTER_VERSION = "0.1"
DISCOVERY_STEP = "step"
"""The ``stepId`` of a call that asks what comes next, instead of naming a step."""

DEFERRED = "inngest/deferred.schedule"
"""The event with which a deferral starts its function."""

NO_EVENT_KEY = "NO_EVENT_KEY_SET"
DEV_ORIGIN = "http://127.0.0.1:8288/"
API_ORIGIN = "https://api.inngest.com/"
EVENT_ORIGIN = "https://inn.gs/"

SIGNATURE_WINDOW = 300
"""Seconds by which a signature's time may differ from ours."""

CAPABILITIES = {"connect": "v1", "in_band_sync": "v1", "trust_probe": "v1"}

# Sizes of one event request, in events and in bytes.
MAX_EVENTS_PER_REQUEST = 5000
MAX_EVENT_BYTES = 3 * 1024 * 1024

# Sizes of what functions return, in bytes: of one step, of one reply, of all steps of a run.
MAX_STEP_BYTES = 4 * 1024 * 1024
MAX_REPLY_BYTES = 8 * 1024 * 1024
MAX_STATE_BYTES = 32 * 1024 * 1024


class Header:
    """Header names, lower case in both directions."""

    AUTHORIZATION = "authorization"
    CONTENT_TYPE = "content-type"
    ENV = "x-inngest-env"
    EVENT_ID_SEED = "x-inngest-event-id-seed"
    EXPECTED_SERVER_KIND = "x-inngest-expected-server-kind"
    FRAMEWORK = "x-inngest-framework"
    NO_RETRY = "x-inngest-no-retry"
    PLATFORM = "x-inngest-platform"
    REQUEST_VERSION = "x-inngest-req-version"
    RETRY_AFTER = "retry-after"
    RUN_ID = "x-run-id"
    SDK = "x-inngest-sdk"
    SDK_HANDLED = "x-inngest-sdk-handled"
    SERVER_KIND = "x-inngest-server-kind"
    SERVER_TIMING = "server-timing"
    SIGNATURE = "x-inngest-signature"
    SYNC_KIND = "x-inngest-sync-kind"
    USER_AGENT = "user-agent"


class Query:
    """Query parameters of a request from the server."""

    DEPLOY_ID = "deployId"
    FUNCTION_ID = "fnId"
    PROBE = "probe"
    STEP_ID = "stepId"


class Opcode(str, enum.Enum):
    """What an op asks of the server. The values are the names on the wire."""

    AI_GATEWAY = "AIGateway"
    DEFER_ABORT = "DeferAbort"
    DEFER_ADD = "DeferAdd"
    DISCOVERY_REQUEST = "DiscoveryRequest"
    GATEWAY = "Gateway"
    INVOKE = "InvokeFunction"
    NONE = "None"
    PLANNED = "StepPlanned"
    RUN_COMPLETE = "RunComplete"
    SLEEP = "Sleep"
    STEP = "Step"
    STEP_ERROR = "StepError"
    STEP_FAILED = "StepFailed"
    STEP_RUN = "StepRun"
    SYNC_RUN_COMPLETE = "SyncRunComplete"
    WAIT_FOR_EVENT = "WaitForEvent"
    WAIT_FOR_SIGNAL = "WaitForSignal"


class ParallelMode(str, enum.Enum):
    """How the steps of a group continue: together (wait) or each on its own (race)."""

    RACE = "race"
    WAIT = "wait"


class ServerKind(str, enum.Enum):
    """Which kind of server speaks, or is expected to."""

    CLOUD = "cloud"
    DEV = "dev"


class SyncKind(str, enum.Enum):
    """How an app is registered: in the reply to the PUT, or in a request of its own."""

    IN_BAND = "in_band"
    OUT_OF_BAND = "out_of_band"


class Streaming(str, enum.Enum):
    """Whether replies to calls are streamed while the function works."""

    DISABLE = "disable"
    FORCE = "force"

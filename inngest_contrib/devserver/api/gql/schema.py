"""What can be asked. The names are those of the Inngest Dev Server."""

from __future__ import annotations

import graphql

_SOURCE = """
scalar Any
scalar Map
scalar Time
scalar ULID
scalar UUID

type Query {
  apps(filter: AppsFilterV1): [App!]!
  app(id: UUID!): App
  functions: [Function!]
  functionBySlug(query: FunctionQuery!): Function
  event(query: EventQuery!): Event
  eventV2(id: ULID!): EventV2
  eventsV2(first: Int! = 50, after: String, filter: EventsFilter): EventsConnection!
  functionRun(query: FunctionRunQuery!): FunctionRun
  run(runID: String!): FunctionRunV2
  runs(
    first: Int! = 40, after: String, orderBy: [RunsV2OrderBy!], filter: RunsFilterV2
  ): RunsV2Connection!
  runTrace(runID: String!): RunTraceSpan
  runTraceSpanOutputByID(outputID: String!): RunTraceSpanOutput!
  runTrigger(runID: String!): RunTraceTrigger!
  workerConnections(
    first: Int! = 40, after: String, orderBy: [ConnectV1WorkerConnectionsOrderBy!],
    filter: ConnectV1WorkerConnectionsFilter
  ): WorkerConnectionsConnection!
  workerConnection(connectionId: ULID!): ConnectV1WorkerConnection
}

type Mutation {
  createApp(input: CreateAppInput!): App!
  deleteApp(id: String!): String!
  deleteAppByName(name: String!): Boolean!
  invokeFunction(
    functionSlug: String!,
    data: Map,
    user: Map,
    debugSessionID: ULID,
    debugRunID: ULID,
  ): Boolean
  cancelRun(runID: ULID!): FunctionRun!
  rerun(runID: ULID!, fromStep: RerunFromStepInput, debugSessionID: ULID, debugRunID: ULID): ULID!
}

input AppsFilterV1 { method: AppMethod }
input FunctionQuery { functionSlug: String! }
input EventQuery { eventId: ID!, workspaceId: ID }
input FunctionRunQuery { functionRunId: ID!, workspaceId: ID }
input CreateAppInput { url: String! }
input RerunFromStepInput { stepID: String!, input: String }
input EventsFilter {
  from: Time
  until: Time
  eventNames: [String!]
  includeInternalEvents: Boolean! = false
  query: String
}
input RunsFilterV2 {
  from: Time, until: Time, timeField: RunsV2OrderByField, status: [FunctionRunStatus!],
  functionIDs: [UUID!], appIDs: [UUID!], query: String, isDeferred: Boolean
}
input RunsV2OrderBy { field: RunsV2OrderByField!, direction: RunsOrderByDirection! }
input ConnectV1WorkerConnectionsOrderBy {
  field: ConnectV1WorkerConnectionsOrderByField!, direction: RunsOrderByDirection!
}
input ConnectV1WorkerConnectionsFilter {
  from: Time, until: Time, timeField: ConnectV1WorkerConnectionsOrderByField,
  status: [ConnectV1ConnectionStatus!], appIDs: [UUID!]
}

enum AppMethod { SERVE CONNECT API }
enum ConcurrencyScope { ACCOUNT ENVIRONMENT FUNCTION }
enum ConnectV1ConnectionStatus { CONNECTED READY DRAINING DISCONNECTING DISCONNECTED }
enum ConnectV1WorkerConnectionsOrderByField { CONNECTED_AT LAST_HEARTBEAT_AT DISCONNECTED_AT }
enum EventStatus { RUNNING COMPLETED PAUSED FAILED PARTIALLY_FAILED NO_FUNCTIONS }
enum FunctionRunStatus { QUEUED RUNNING COMPLETED FAILED CANCELLED SKIPPED }
enum FunctionTriggerTypes { EVENT CRON }
enum RunTraceSpanStatus { QUEUED RUNNING WAITING COMPLETED FAILED CANCELLED SKIPPED }
enum RunsOrderByDirection { ASC DESC }
enum RunsV2OrderByField { QUEUED_AT STARTED_AT ENDED_AT }
enum SingletonMode { SKIP CANCEL }
enum StepOp {
  INVOKE RUN SLEEP WAIT_FOR_EVENT AI_GATEWAY WAIT_FOR_SIGNAL GATEWAY
}

type App {
  id: ID!
  externalID: String!
  name: String!
  sdkLanguage: String!
  sdkVersion: String!
  framework: String
  url: String
  checksum: String
  error: String
  connected: Boolean!
  functionCount: Int!
  autodiscovered: Boolean!
  method: AppMethod!
  appVersion: String
  functions: [Function!]!
}

type Function {
  id: ID!
  name: String!
  slug: String!
  url: String!
  appID: String!
  concurrency: Int!
  "The configuration as JSON text."
  config: String!
  triggers: [FunctionTrigger!]
  configuration: FunctionConfiguration!
  app: App!
}
type FunctionTrigger { type: FunctionTriggerTypes!, value: String!, condition: String }
type FunctionConfiguration {
  retries: RetryConfiguration!
  cancellations: [CancellationConfiguration!]!
  priority: String
  concurrency: [ConcurrencyConfiguration!]!
  rateLimit: RateLimitConfiguration
  debounce: DebounceConfiguration
  throttle: ThrottleConfiguration
  eventsBatch: EventsBatchConfiguration
  singleton: SingletonConfiguration
}
type RetryConfiguration { value: Int!, isDefault: Boolean }
type CancellationConfiguration { event: String!, condition: String, timeout: String }
type ConcurrencyConfiguration {
  scope: ConcurrencyScope!
  key: String
  limit: ConcurrencyLimitConfiguration!
}
type ConcurrencyLimitConfiguration { value: Int!, isPlanLimit: Boolean }
type RateLimitConfiguration { limit: Int!, period: String!, key: String }
type DebounceConfiguration { period: String!, key: String, timeout: String }
type ThrottleConfiguration { burst: Int!, key: String, limit: Int!, period: String! }
type EventsBatchConfiguration { maxSize: Int!, timeout: String!, key: String }
type SingletonConfiguration { mode: SingletonMode!, key: String }

type Event {
  id: ID!
  externalID: String
  name: String
  createdAt: Time
  "The data, as JSON text."
  payload: String
  "The whole event, as JSON text."
  raw: String
  status: EventStatus
  pendingRuns: Int
  totalRuns: Int
  functionRuns: [FunctionRun!]
}
type EventV2 {
  id: ULID!
  idempotencyKey: String
  name: String!
  occurredAt: Time!
  receivedAt: Time!
  raw: String!
  version: String
  source: EventSource
  envID: UUID!
  runs: [FunctionRunV2!]!
}
type EventSource { id: ID!, name: String, sourceKind: String! }
type EventsConnection { edges: [EventsEdge!]!, pageInfo: PageInfo!, totalCount: Int! }
type EventsEdge { cursor: String!, node: EventV2! }
type PageInfo {
  hasNextPage: Boolean!
  hasPreviousPage: Boolean!
  startCursor: String
  endCursor: String
}

type FunctionRun {
  id: ID!
  functionID: String!
  function: Function
  event: Event
  status: FunctionRunStatus
  "The output, as JSON text."
  output: String
  startedAt: Time
  finishedAt: Time
  pendingSteps: Int
  waitingFor: StepEventWait
  history: [RunHistoryItem!]!
  cron: String
  batchID: ULID
}
type StepEventWait { eventName: String, expression: String, expiryTime: Time! }
type RunHistoryItem { id: ID!, type: String!, stepName: String, attempt: Int!, createdAt: Time! }

type FunctionRunV2 {
  id: ULID!
  appID: UUID!
  app: App!
  functionID: UUID!
  function: Function!
  status: FunctionRunStatus!
  queuedAt: Time!
  startedAt: Time
  endedAt: Time
  "The output, as JSON text."
  output: String
  traceID: String!
  eventName: String
  triggerIDs: [ULID!]!
  isBatch: Boolean!
  batchCreatedAt: Time
  cronSchedule: String
  sourceID: String
  hasAI: Boolean!
  isDeferred: Boolean!
  defers: [RunDefer!]!
  deferredFrom: [RunDeferredFrom!]!
  trace: RunTraceSpan
}
type RunDefer {
  hashedDeferID: String!
  userlandDeferID: String!
  fnSlug: String!
  status: String!
  runID: ULID
  run: FunctionRunV2
}
type RunDeferredFrom { runID: ULID!, fnSlug: String!, run: FunctionRunV2 }
type RunsV2Connection { edges: [FunctionRunV2Edge!]!, pageInfo: PageInfo!, totalCount: Int! }
type FunctionRunV2Edge { cursor: String!, node: FunctionRunV2! }

type RunTraceSpan {
  appID: UUID!
  functionID: UUID!
  runID: ULID!
  spanID: String!
  traceID: String!
  parentSpanID: String
  parentSpan: RunTraceSpan
  name: String!
  status: RunTraceSpanStatus!
  attempts: Int
  duration: Int
  outputID: String
  queuedAt: Time!
  startedAt: Time
  endedAt: Time
  stepOp: StepOp
  stepID: String
  stepType: String!
  stepInfo: StepInfo
  isRoot: Boolean!
  isUserland: Boolean!
  response: SpanResponse
  metadata: [SpanMetadata!]!
  childrenSpans: [RunTraceSpan!]!
}
type SpanResponse { statusCode: Int!, headers: Map }
type SpanMetadata { kind: String!, scope: String!, values: Map! }
union StepInfo =
  | InvokeStepInfo
  | SleepStepInfo
  | WaitForEventStepInfo
  | WaitForSignalStepInfo
  | RunStepInfo
type InvokeStepInfo {
  triggeringEventID: ULID
  functionID: String!
  timeout: Time
  returnEventID: ULID
  runID: ULID
  timedOut: Boolean
}
type SleepStepInfo { sleepUntil: Time }
type WaitForEventStepInfo {
  eventName: String!, expression: String, timeout: Time, foundEventID: ULID, timedOut: Boolean
}
type WaitForSignalStepInfo { signal: String!, timeout: Time, timedOut: Boolean }
type RunStepInfo { type: String }
type RunTraceSpanOutput { input: String, data: String, error: StepError }
type StepError { message: String!, name: String, stack: String, cause: Any }
type RunTraceTrigger {
  eventName: String
  IDs: [ULID!]!
  "Each event as JSON text."
  payloads: [String!]!
  timestamp: Time!
  isBatch: Boolean!
  batchID: ULID
  cron: String
}

type WorkerConnectionsConnection {
  edges: [ConnectV1WorkerConnectionEdge!]!, pageInfo: PageInfo!, totalCount: Int!
}
type ConnectV1WorkerConnectionEdge { cursor: String!, node: ConnectV1WorkerConnection! }
type ConnectV1WorkerConnection {
  id: ULID!
  gatewayId: ULID!
  instanceId: String!
  status: ConnectV1ConnectionStatus!
  connectedAt: Time!
  lastHeartbeatAt: Time
  disconnectedAt: Time
  sdkLang: String!
  sdkVersion: String!
  appID: UUID
  appName: String
}
"""

SCHEMA = graphql.build_schema(_SOURCE)

"""
Databases as older versions of the server made them: one for each schema version before ours.

They are written out, not made from today's tables: what an old server wrote does not change. The
UUID is that of the function `shop-f` of the app `shop`, as every version has made it.
"""

from __future__ import annotations

import contextlib
import sqlite3

_TABLES = {
    1: """
CREATE TABLE apps (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL, sdk TEXT NOT NULL,
  framework TEXT NOT NULL, version TEXT NOT NULL, method TEXT NOT NULL, checksum TEXT NOT NULL,
  error TEXT NOT NULL, synced_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE functions (
  id TEXT PRIMARY KEY, slug TEXT NOT NULL, name TEXT NOT NULL, app_id TEXT NOT NULL,
  app_name TEXT NOT NULL, url TEXT NOT NULL, config BLOB NOT NULL, archived INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE events (
  id TEXT PRIMARY KEY, external_id TEXT NOT NULL, name TEXT NOT NULL, ts INTEGER NOT NULL,
  received_at INTEGER NOT NULL, data BLOB NOT NULL, user BLOB, v TEXT, meta BLOB
) WITHOUT ROWID;
CREATE TABLE runs (
  id TEXT PRIMARY KEY, function_id TEXT NOT NULL, event_ids TEXT NOT NULL,
  event_name TEXT NOT NULL, status TEXT NOT NULL, queued_at INTEGER NOT NULL,
  started_at INTEGER, ended_at INTEGER, request_version INTEGER NOT NULL,
  force_plan INTEGER NOT NULL, cron TEXT, correlation TEXT, original_run_id TEXT, output BLOB
) WITHOUT ROWID;
CREATE TABLE causes (
  event_id TEXT NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY (event_id, run_id)
) WITHOUT ROWID;
CREATE TABLE steps (
  run_id TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  op TEXT NOT NULL, status TEXT NOT NULL, queued_at INTEGER NOT NULL, started_at INTEGER,
  ended_at INTEGER, attempts INTEGER NOT NULL, mode TEXT NOT NULL, position INTEGER,
  opts BLOB, details BLOB, memo BLOB, PRIMARY KEY (run_id, number)
) WITHOUT ROWID;
CREATE TABLE attempts (
  run_id TEXT NOT NULL, ended_at INTEGER NOT NULL, job_id TEXT NOT NULL, attempt INTEGER NOT NULL,
  step_id TEXT NOT NULL, started_at INTEGER NOT NULL, error BLOB NOT NULL, retry_at INTEGER,
  PRIMARY KEY (run_id, ended_at, job_id, attempt, step_id)
) WITHOUT ROWID;
CREATE TABLE jobs (
  run_id TEXT NOT NULL, step TEXT NOT NULL, id TEXT NOT NULL, attempt INTEGER NOT NULL,
  generation INTEGER NOT NULL, run_at INTEGER NOT NULL, PRIMARY KEY (run_id, step)
) WITHOUT ROWID;
CREATE TABLE waits (
  run_id TEXT NOT NULL, step_id TEXT NOT NULL, kind TEXT NOT NULL, expires INTEGER NOT NULL,
  event TEXT NOT NULL, expression TEXT, PRIMARY KEY (run_id, step_id)
) WITHOUT ROWID;
CREATE TABLE dedupes (
  function_id TEXT NOT NULL, event_id TEXT NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY (function_id, event_id)
) WITHOUT ROWID;
""",
    2: """
CREATE TABLE meters (
  function_id TEXT NOT NULL, kind TEXT NOT NULL, bucket TEXT NOT NULL, even_at INTEGER NOT NULL,
  PRIMARY KEY (function_id, kind, bucket)
) WITHOUT ROWID;
CREATE TABLE holdings (
  id TEXT PRIMARY KEY, function_id TEXT NOT NULL, bucket TEXT NOT NULL,
  began_at INTEGER NOT NULL, due INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE held (
  holding_id TEXT NOT NULL, number INTEGER NOT NULL, event_id TEXT NOT NULL, correlation TEXT,
  PRIMARY KEY (holding_id, number)
) WITHOUT ROWID;
""",
    3: """
CREATE TABLE defers (
  run_id TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  slug TEXT NOT NULL, input BLOB NOT NULL, meta BLOB, aborted INTEGER NOT NULL, event_id TEXT,
  PRIMARY KEY (run_id, number)
) WITHOUT ROWID;
CREATE TABLE invocations (
  function_id TEXT NOT NULL, word TEXT NOT NULL, event_id TEXT NOT NULL, run_id TEXT,
  expires INTEGER NOT NULL, PRIMARY KEY (function_id, word)
) WITHOUT ROWID;
""",
    4: """
CREATE TABLE notes (
  run_id TEXT NOT NULL, id TEXT NOT NULL, step_id TEXT NOT NULL, scope TEXT NOT NULL,
  kind TEXT NOT NULL, op TEXT NOT NULL, "values" BLOB NOT NULL, noted_at INTEGER NOT NULL,
  PRIMARY KEY (run_id, id)
) WITHOUT ROWID;
""",
    5: """
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_function ON runs (function_id, status);
""",
}
"""What each version added."""
_ROWS = {
    1: """
INSERT INTO apps VALUES ('A', 'shop', 'http://shop/api', 'py:1', 'x', '1', 'serve', 'c', '', 1);
INSERT INTO functions VALUES ('57b68f54-58f5-5d51-af3b-3a0f1a602095', 'shop-f', 'f', 'A', 'shop',
  'http://shop/api', CAST('{
  "id": "shop-f", "name": "f", "triggers": [{"event": "f"}], "steps": {"step": {"id": "step",
  "name": "step", "runtime": {"type": "http", "url": "http://shop/api?fnId=shop-f&stepId=step"}}}
}' AS BLOB), 0);
INSERT INTO events VALUES ('01E', '01E', 'f', 5, 5, CAST('{"n":1}' AS BLOB), NULL, NULL, NULL);
INSERT INTO runs VALUES ('01R', '57b68f54-58f5-5d51-af3b-3a0f1a602095', '01E', 'f', 'RUNNING',
  6, 7, NULL, 2, 0, NULL, NULL, NULL, NULL);
INSERT INTO causes VALUES ('01E', '01R');
INSERT INTO steps VALUES ('01R', 0, 'aa', 'one', 'StepRun', 'COMPLETED', 7, 7, 8, 1, '', 0, NULL,
  NULL, CAST('{"data":1}' AS BLOB));
INSERT INTO steps VALUES ('01R', 1, 'bb', 'nap', 'Sleep', 'WAITING', 8, 8, NULL, 0, 'wait', NULL,
  NULL, NULL, NULL);
INSERT INTO waits VALUES ('01R', 'bb', 'sleep', 4102444800000, '', NULL);
INSERT INTO dedupes VALUES ('57b68f54-58f5-5d51-af3b-3a0f1a602095', 'order-1', 4102444800000);
""",
    2: """
INSERT INTO meters VALUES ('57b68f54-58f5-5d51-af3b-3a0f1a602095', 'rate', 'b', 4102444800000);
INSERT INTO holdings VALUES ('H', '57b68f54-58f5-5d51-af3b-3a0f1a602095', 'b', 9, 4102444800000);
INSERT INTO held VALUES ('H', 0, '01E', NULL);
""",
    3: """
INSERT INTO defers VALUES ('01R', 0, 'd', 'later', 'shop-g', CAST('{}' AS BLOB), NULL, 0, NULL);
INSERT INTO invocations VALUES ('57b68f54-58f5-5d51-af3b-3a0f1a602095', 'word', '01E', '01R',
  4102444800000);
""",
    4: """
INSERT INTO notes VALUES ('01R', 'N', '', 'run', 'score', 'merge', CAST('{"n":1}' AS BLOB), 9);
""",
    5: "",
}
VERSIONS = tuple(_TABLES)


def make_database(path: str, version: int) -> None:
    """Make the file that a server of this schema version has left behind."""
    parts = [text[one] for one in range(1, version + 1) for text in (_TABLES, _ROWS)]
    marks = f"PRAGMA application_id=1231973991;PRAGMA user_version={version};"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(f"BEGIN;{''.join(parts)}{marks}COMMIT;")

"""DBOS on SQLite: how long one workflow of many steps takes, and many of one step."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from typing import Any

with contextlib.suppress(ImportError):
    # DBOS needs SQLite 3.42, and Python may have been built with an older one.
    import pysqlite3

    sys.modules["sqlite3"] = pysqlite3

from dbos import DBOS


@DBOS.step()  # type: ignore[untyped-decorator]
def produce() -> dict[str, Any]:
    return {"n": 1, "ok": True}


@DBOS.workflow()  # type: ignore[untyped-decorator]
def steps(count: int) -> None:
    for _ in range(count):
        produce()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/dbos.sqlite"
        DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False})
        DBOS.launch()
        steps(20)
        seconds = {"steps": timed(1, int(sys.argv[1])), "runs": timed(int(sys.argv[2]), 1)}
        DBOS.destroy()
    print(json.dumps(seconds))


def timed(runs: int, count: int) -> float:
    began = time.perf_counter()
    for handle in [DBOS.start_workflow(steps, count) for _ in range(runs)]:
        handle.get_result()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

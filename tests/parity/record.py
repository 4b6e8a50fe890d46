"""
Records what the official package answers in tests/samples/parity: `python -m tests.parity.record`.

It must be installed. Each story of test_switch.py is played from its beginning to its end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.contrib.devserver.live import running

from .kits import OFFICIAL
from .scenario import COLOURS
from .stage import Theatre, theatre
from .tap import Exchange
from .test_switch import SAMPLE, STORIES

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Play every story and write what was asked and answered."""
    found: dict[str, Any] = {}
    with running(poll=False) as server:
        for colour in COLOURS:
            app_id = f"begun-{colour}"
            with theatre(OFFICIAL, "fastapi", colour, server=server, app_id=app_id) as told:
                found[colour] = {name: recorded(told, name) for name in STORIES}
    SAMPLE.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    # Stacks name files: not those of whoever recorded them.
    SAMPLE.write_text(text.replace(f"{ROOT}/", "/srv/shop/"), encoding="utf-8")


def recorded(told: Theatre, name: str) -> list[dict[str, Any]]:
    """Play one story; return its calls."""
    tap = told.app.tap
    before = len(tap.exchanges)
    stage, expected = told.stages[name]
    stage.played(expected)
    calls = [one for one in tap.exchanges[before:] if one.method == "POST"]
    return [_told(one) for one in calls if one.query["fnId"].endswith(name)]


def _told(call: Exchange) -> dict[str, Any]:
    return {
        "query": call.query,
        "body": call.json,
        "status": call.status,
        "reply": call.replied,
    }


if __name__ == "__main__":
    main()

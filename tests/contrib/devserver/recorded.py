"""
Plays the recorded exchanges of a client with a real server against ours, over real sockets.

What the client sent is sent again, in its order, with our own ids in place of the recorded ones;
the app answers the calls as it did there. Texts that were cut are as long as they were.
Each answer must have the recorded status and shape: every member that was there, of the same kind,
and the same words where they are no ids, times or hashes.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from tests.contrib.devserver.live import Call, Reply, eventually, running, stand_in

SAMPLES = Path(__file__).parents[2] / "samples" / "devserver" / "interface"
PATIENCE = 3.0
_ID = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+|[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
_CUT = re.compile("([a-z]*)<(?:cut: )?string of ([0-9]+) characters(?:, cut here)?>")
_CHANCE = re.compile(r"\d{4}-\d\d-\d\dT|[0-9a-f]{16}|eyJ|http://|Hi|^[0-9a-z]{13}$|^\d+$")
"""Texts that are different each time: instants, hashes, tokens, addresses, job ids, durations."""


class Player:
    """
    One recording being played; `differences` tells what was not as there.

    different: requests whose answers are known to be others, so that no time is lost with them.
    """

    def __init__(self, name: str, *, different: Collection[str] = (), **options: Any) -> None:
        document = json.loads((SAMPLES / f"{name}.json").read_text())
        self._exchanges = list(_pairs(_whole(document["exchanges"])))
        self._asked = -1
        self._progress = threading.Condition()
        self._options = options
        self._different = different
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, str], list[tuple[Any, Any]]] = defaultdict(list)
        self._outstanding: set[int] = set()
        for index, (request, reply) in enumerate(self._exchanges):
            if request["direction"] == "server→sdk" and "fnId" in request["query"]:
                self._calls[_subject(request["query"])].append((index, reply))
                self._outstanding.add(index)
        self.outputs: dict[str, tuple[str, Any]] = {}
        """By function, where calls alone are played: what became of its run."""
        self.differences: dict[str, list[str]] = {}

    def play(self) -> dict[str, list[str]]:
        """Everything once; what was different, by request."""
        with ExitStack() as stack:
            self._server = stack.enter_context(running(poll=False, **self._options))
            self._app = stack.enter_context(stand_in(self._answer))
            for index, (request, reply) in enumerate(self._exchanges):
                if request["direction"] == "sdk→server":
                    self._wait_for_calls(index)
                    self._ask(index, request, reply)
                    with self._progress:
                        self._asked = index
                        self._progress.notify_all()
        return self.differences

    def play_calls(self, *, without: str) -> dict[str, list[str]]:
        """A recording of calls alone: each function but one is registered, and run once."""
        functions: dict[str, Mapping[str, Any]] = {}
        for index, (request, _) in enumerate(self._exchanges):
            if request["query"]["fnId"] == without:
                self._outstanding.discard(index)
            else:
                functions.setdefault(request["query"]["fnId"], request["body"])
        with ExitStack() as stack:
            self._server = stack.enter_context(running(poll=False, **self._options))
            self._app = stack.enter_context(stand_in(self._answer))
            self._app.register(self._server, "lim", *map(self._function, functions.items()))
            for slug, body in functions.items():
                event_id = self._server.send(body["event"]["name"], body["event"]["data"])
                (run,) = self._server.ended_runs(event_id)
                self.outputs[slug] = run["status"], run.get("output")
            self._wait_for_calls(len(self._exchanges))
        return self.differences

    def _function(self, item: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
        slug, body = item
        app, _, name = slug.partition("-")
        retries = body["ctx"]["max_attempts"] - 1
        triggers = [{"event": body["event"]["name"]}]
        return self._app.function(app, name, retries=retries, triggers=triggers)

    def _wait_for_calls(self, index: int) -> None:
        """Return once the server has made the calls that had been made by then."""
        eventually(
            lambda: not any(call < index for call in self._outstanding),
            what=f"what was called before {index}",
        )

    def _answer(self, call: Call) -> Reply:
        with self._lock:
            index, reply = self._calls[_subject(call.query)].pop(0)
            recorded = self._exchanges[index][0]
            self._ids[recorded["headers"]["x-run-id"]] = call.headers["x-run-id"]
            self._outstanding.discard(index)
            self._compare_call(index, recorded["body"], call.json)
        self._wait_for_questions(index, reply)
        body = reply["body"]
        raw = body.encode() if isinstance(body, str) else None
        return Reply(reply["status"], self._mine(body), dict(reply["headers"]), raw=raw)

    def _compare_call(self, index: int, recorded: Any, made: Any) -> None:
        """What the call told: the state, and whether there is more to be asked for."""
        parts = ("events", "steps", "use_api", "version")
        problems = [
            problem
            for part in parts
            for problem in self._differ(recorded[part], made[part], f".{part}")
        ]
        if problems:
            self.differences[f"{index} call"] = problems

    def _wait_for_questions(self, index: int, reply: Mapping[str, Any]) -> None:
        """Return once the client has asked what it asked before the app had answered."""
        last = max(
            (
                number
                for number, (request, _) in enumerate(self._exchanges)
                if number > index
                and request["direction"] == "sdk→server"
                and request["t_ms"] < reply["t_ms"]
            ),
            default=-1,
        )
        with self._progress:
            self._progress.wait_for(lambda: self._asked >= last, timeout=PATIENCE)

    def _ask(self, index: int, request: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
        name = f"{index} {request['method']} {request['path']}"
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._send(request)
            problems = list(self._compare(reply, found))
            # What is read may have to come first; what is written is written once.
            hopeless = request["method"] != "GET" or name in self._different
            if not problems or hopeless or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if problems:
            self.differences[name] = problems

    def _send(self, request: Mapping[str, Any]) -> httpx.Response:
        headers = self._mine(request["headers"])
        body = request["body"]
        content = None
        if body is not None:
            content = body.encode() if isinstance(body, str) else json.dumps(self._mine(body))
        return self._server.http.request(
            request["method"],
            self._mine(request["path"]),
            params=self._mine(request["query"]),
            headers=headers,
            content=content,
        )

    def _mine(self, value: Any) -> Any:
        """What was recorded, with our ids and addresses in it."""
        if isinstance(value, dict):
            return {key: self._mine(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._mine(one) for one in value]
        if not isinstance(value, str):
            return value
        moved = re.sub(r"http://(127\.0\.0\.1|localhost):\d+/api/inngest", self._app.url, value)
        return _ID.sub(lambda found: self._ids.get(found[0], found[0]), moved)

    def _compare(self, recorded: Mapping[str, Any], made: httpx.Response) -> Iterator[str]:
        if recorded["status"] != made.status_code:
            yield f"status {recorded['status']}, not {made.status_code}"
        kind = recorded["headers"].get("x-inngest-server-kind")
        if kind != made.headers.get("x-inngest-server-kind") and kind is not None:
            yield f"server kind {kind}"
        try:
            body = made.json()
        except ValueError:
            body = made.text or None
        yield from self._differ(recorded["body"], body, "")

    def _differ(self, recorded: Any, made: Any, place: str) -> Iterator[str]:
        if isinstance(recorded, dict) and isinstance(made, dict):
            for key in recorded:
                if key in made:
                    yield from self._differ(recorded[key], made[key], f"{place}.{key}")
                else:
                    yield f"{place}.{key} is missing"
        elif isinstance(recorded, list) and isinstance(made, list):
            if len(recorded) != len(made):
                yield f"{place}: {len(recorded)} elements, not {len(made)}"
            for index, (one, other) in enumerate(zip(recorded, made, strict=False)):
                yield from self._differ(one, other, f"{place}[{index}]")
        elif isinstance(recorded, str) and isinstance(made, str):
            yield from self._differ_in_words(recorded, made, place)
        elif recorded != made and not (_is_number(recorded) and _is_number(made)):
            yield f"{place}: {json.dumps(recorded)[:200]}, not {json.dumps(made)[:200]}"

    def _differ_in_words(self, recorded: str, made: str, place: str) -> Iterator[str]:
        ids, own = _ID.findall(recorded), _ID.findall(made)
        if len(ids) == len(own):
            self._ids.update(zip(ids, own, strict=True))
        plain, mine = _ID.sub("", recorded), _ID.sub("", made)
        if plain != mine and not (_CHANCE.search(plain) and _CHANCE.search(mine)):
            yield f"{place}: {recorded[:200]!r}, not {made[:200]!r}"


def _pairs(entries: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for index, entry in enumerate(entries[:-1]):
        if "direction" in entry and "response" in entries[index + 1]:
            reply = entries[index + 1]
            yield entry, {**reply["response"], "t_ms": reply["t_ms"]}


def _whole(value: Any) -> Any:
    """What was recorded, with texts of their length where they were cut."""
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    cut = _CUT.fullmatch(value) if isinstance(value, str) else None
    return (cut[1][:1] or "x") * int(cut[2]) if cut else value


def _subject(query: Mapping[str, str]) -> tuple[str, str]:
    return query["fnId"], query["stepId"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

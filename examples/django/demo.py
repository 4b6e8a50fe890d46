"""
The whole shop in one command: server, project, orders, and what became of them.

`python -m examples.django.demo` ends by itself, with 0 only if every order and every run
ended as it should.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from examples.fastapi.processes import NotReady, Process, ended_at_exit, free_port

PATIENCE = 45.0
ADMIN = ("admin", "only for this example")
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
SHELF = {"Kettle": ("49.00", 20), "Teapot": ("35.50", 3), "Cups": ("18.00", 2)}

SEED = f"""
from django.contrib.auth.models import User
from examples.django.shop.models import Product
User.objects.create_superuser({ADMIN[0]!r}, password={ADMIN[1]!r})
for name, (price, stock) in {SHELF!r}.items():
    Product.objects.create(name=name, price=price, stock=stock)
"""


@dataclass(frozen=True)
class Wish:
    """An order of the demo. state: what it must come to; empty if it must be refused at once."""

    customer: str
    product: int
    quantity: int = 1
    card: str = "4111 1111"
    state: str = "shipped"


WISHES = [
    *(Wish(f"Customer {number}", 1) for number in range(1, 9)),
    Wish("Ada", 2, 2),
    Wish("Ben has no money", 1, card="4000 0000", state="refused"),
    Wish("Cleo wants too much", 3, 5, state=""),
    Wish("Dan", 3),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.django.demo", description=__doc__)
    parser.add_argument("--wsgi", action="store_true", help="on gunicorn, in place of uvicorn")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]
    try:
        with tempfile.TemporaryDirectory() as folder, ended_at_exit() as processes:
            return demo(Path(folder), processes, wsgi=options.wsgi)
    except NotReady as error:
        print(error, file=sys.stderr)
        return 1


def demo(folder: Path, processes: list[Process], *, wsgi: bool) -> int:
    """Start everything, place the orders, watch, and compare."""
    ports = free_port(), free_port()
    server, shop = (f"http://127.0.0.1:{port}" for port in ports)
    env = {
        "DJANGO_SETTINGS_MODULE": "examples.django.settings",
        "INNGEST_DEV": server,
        "SHOP_DATABASE": str(folder / "shop.sqlite3"),
    }
    django(env, "migrate", "--verbosity", "0")
    django(env, "shell", "--command", SEED)
    start(processes, folder, env, ports, wsgi=wsgi)
    with httpx.Client(base_url=shop, timeout=30, trust_env=False) as http:
        processes[0].wait_until(lambda: http.get("/").is_success, seconds=30)
        processes[1].wait_until(lambda: registered(server), seconds=30)
        print(f"server {server} and shop {shop} are up")
        placed = place(http, WISHES)
        runs = finish(http, expected(WISHES))
        code = conclude(http, placed, runs)
    if code:
        for name in ("shop", "server"):
            log = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
            print(f"\n{name}.log ends with:\n{log[-4000:]}")
    return code


def django(env: dict[str, str], *words: str) -> None:
    """Run one of Django's commands."""
    command = [sys.executable, "-m", "django", *words]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotReady(f"django {words[0]} failed:\n{done.stdout}{done.stderr}")


def start(
    processes: list[Process],
    folder: Path,
    env: dict[str, str],
    ports: tuple[int, int],
    *,
    wsgi: bool,
) -> None:
    """Start the project on a WSGI or an ASGI server, and the Inngest server."""
    server, shop = map(str, ports)
    if wsgi:
        app: tuple[str, ...] = (
            "gunicorn",
            "examples.django.wsgi:application",
            "--preload",
            "--threads",
            "4",
        )
        app += ("--workers", "2", "--bind", f"127.0.0.1:{shop}", "--log-level", "warning")
    else:
        app = ("uvicorn", "examples.django.asgi:application", "--port", shop)
        app += ("--lifespan", "off", "--log-level", "warning")
    processes.append(Process(*app, env=env, log=folder / "shop.log"))
    url = f"http://127.0.0.1:{shop}/api/inngest"
    store = ("--db", str(folder / "inngest.db"))
    server_words = ("--port", server, *store, "--retry-interval", "1", "-u", url)
    processes.append(
        Process("inngest_contrib.devserver", *server_words, env={}, log=folder / "server.log")
    )


def registered(server: str) -> bool:
    """Whether the server knows the functions."""
    return httpx.get(f"{server}/v2/apps/django-shop", trust_env=False).is_success


def place(http: httpx.Client, wishes: Iterable[Wish]) -> dict[int, Wish]:
    """Place orders over the shop's API; those that were taken, by their number."""
    placed = {}
    for wish in wishes:
        order = {"customer": wish.customer, "product": wish.product, "quantity": wish.quantity}
        response = http.post("/api/orders/", json={**order, "card": wish.card})
        if response.status_code == 201:
            placed[response.json()["id"]] = wish
        else:
            print(f"refused: {wish.customer}: {response.text}")
    return placed


def expected(wishes: Iterable[Wish]) -> Counter[tuple[str, str]]:
    """How many runs of each function must end how."""
    taken = [wish for wish in wishes if wish.state]
    broke = sum(wish.state == "refused" for wish in taken)
    counted = Counter(
        {
            ("fulfil-order", "COMPLETED"): len(taken),
            ("charge-card", "COMPLETED"): len(taken) - broke,
            ("charge-card", "FAILED"): broke,
            ("charge-card-failure", "COMPLETED"): broke,
            # The teapots and the cups are nearly gone.
            ("restock", "COMPLETED"): 2,
        }
    )
    return +counted


def finish(http: httpx.Client, wanted: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    """Ask for the runs, as an admin, until all have ended."""
    began = time.monotonic()
    found: list[dict[str, Any]] = []
    while time.monotonic() < began + PATIENCE:
        time.sleep(0.5)
        found = (
            http.get("/api/jobs/runs/?limit=100", auth=ADMIN).raise_for_status().json()["results"]
        )
        ended = [run for run in found if run["status"] in ENDED]
        print(f"{time.monotonic() - began:5.1f} s  {len(ended)} of {wanted.total()} runs ended")
        if len(found) >= wanted.total() and len(ended) == len(found):
            break
    return found


def conclude(http: httpx.Client, placed: dict[int, Wish], runs: list[dict[str, Any]]) -> int:
    """Show what became of everything, and say whether it is right; return the exit code."""
    orders = http.get("/api/orders/").raise_for_status().json()
    for order in orders:
        print(
            f"order {order['id']:3}  {order['customer']:20} {order['state']:8} {order['tracking']}"
        )
    counts = Counter((run["function"], run["status"]) for run in runs)
    for (function, status), count in sorted(counts.items()):
        print(f"{count:3} x {function:20} {status}")
    wrong = deviations(orders, placed, counts)
    print("\n".join(wrong) or "All orders and runs ended as expected.")
    return 1 if wrong else 0


def deviations(
    orders: list[dict[str, Any]], placed: dict[int, Wish], counts: Counter[tuple[str, str]]
) -> list[str]:
    """Say, a line each, what is not as it should be."""
    wrong = [
        f"order {order['id']} is {order['state']}; expected {wish.state}"
        for order in orders
        if (wish := placed.get(order["id"])) is None or order["state"] != wish.state
        if wish is not None
    ]
    wanted = expected(WISHES)
    if len(orders) != len(placed):
        wrong.append(f"{len(orders)} orders are kept; {len(placed)} were taken")
    if counts != wanted:
        wrong.append(f"runs: expected {dict(wanted)}, found {dict(counts)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())

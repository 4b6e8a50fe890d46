"""
The whole shop in one command: server, web shop, orders, and what became of them.

`python -m examples.fastapi.demo` ends by itself, with 0 only if every run ended as the CSV
foretells. `--keep` keeps server and shop running instead, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx

from examples.fastapi.expected import deviations, expected_of, expected_runs
from examples.fastapi.orders import ORDERS_CSV, Order, read_orders
from examples.fastapi.processes import NotReady, Process, ended_at_exit, free_port
from examples.fastapi.report import LEGEND, run_table, step_table
from examples.fastapi.watch import ENDED, Run, Server

APP = "shop"
PATIENCE = 45.0
ROUTE = "/api/inngest"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo or, with --keep, the shop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.fastapi.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep server and shop running")
    parser.add_argument("--steps", action="store_true", help="list the steps of every order")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]
    try:
        return keep() if options.keep else demo(every_step=options.steps)
    except NotReady as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 130


def demo(*, every_step: bool) -> int:
    """Import the orders, watch the functions work, and say how every run ended."""
    orders = read_orders()
    with tempfile.TemporaryDirectory() as folder, ended_at_exit() as processes:
        server, shop = start(processes, Path(folder), ports=(0, 0))
        import_orders(shop, orders)
        finish(server, shop, orders)
        runs = server.runs()
    show(runs, orders, every_step=every_step)
    return conclude(deviations(orders, runs))


def keep() -> int:
    """Keep server and shop running until one of them ends or Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder, ended_at_exit() as processes:
        ports = (free_port(8288), free_port(8000))
        server, shop = start(processes, Path(folder), ports=ports, patience="600", quiet=False)
        print(f"\n  the shop    {shop.base_url}   import the orders there, pay or cancel them")
        print(f"  the server  {server.url}   its page shows events and runs")
        print("  Ctrl-C ends both\n")
        try:
            return processes[-1].wait()
        except KeyboardInterrupt:
            return 0


def start(
    processes: list[Process],
    folder: Path,
    *,
    ports: tuple[int, int],
    patience: str = "2",
    quiet: bool = True,
) -> tuple[Server, httpx.Client]:
    """Start server and shop and wait until the server knows the shop's functions."""
    began = time.monotonic()
    server_port, shop_port = (port or free_port() for port in ports)
    server = Server(f"http://127.0.0.1:{server_port}")
    shop = httpx.Client(base_url=f"http://127.0.0.1:{shop_port}", timeout=30, trust_env=False)
    shop_process = Process(
        "uvicorn",
        *("examples.fastapi.app:app", "--port", str(shop_port), "--log-level", "warning"),
        env={"INNGEST_DEV": server.url, "SHOP_PATIENCE": patience},
        log=folder / "shop.log" if quiet else None,
    )
    processes.append(shop_process)
    server_process = Process(
        "inngest_contrib.devserver",
        *("--port", str(server_port), "--db", str(folder / "inngest.db")),
        *("-u", f"{shop.base_url}".rstrip("/") + ROUTE),
        env={},
        log=folder / "server.log" if quiet else None,
    )
    processes.append(server_process)
    shop_process.wait_until(lambda: shop.get("/orders").is_success, seconds=30)
    server_process.wait_until(lambda: server.functions(APP) > 0, seconds=30)
    print(f"server {server.url} and shop {shop.base_url} are up ({elapsed(began)})")
    return server, shop


def import_orders(shop: httpx.Client, orders: Sequence[Order]) -> None:
    """Have the shop read its CSV and send the events."""
    began = time.monotonic()
    response = shop.post("/orders/import")
    response.raise_for_status()
    events = len(response.json()["event_ids"])
    print(f"{ORDERS_CSV.name}: {len(orders)} orders sent as {events} events ({elapsed(began)})\n")


def finish(server: Server, shop: httpx.Client, orders: Sequence[Order]) -> None:
    """Print how far the runs are until all have ended, and cancel what customers cancel."""
    began = time.monotonic()
    wanted = len(expected_runs(orders))
    cancelled = [order for order in orders if order.cancelled_at]
    while time.monotonic() < began + PATIENCE:
        time.sleep(0.5)
        if cancelled and time.monotonic() > began + 1:
            cancel_orders(shop, cancelled)
            cancelled = []
        statuses = server.statuses()
        print(progress(statuses, wanted, elapsed(began)))
        if len(statuses) >= wanted and all(status in ENDED for _, status in statuses):
            return


def cancel_orders(shop: httpx.Client, orders: Iterable[Order]) -> None:
    """Cancel orders as their customers would, on the shop's page."""
    for order in orders:
        shop.post(f"/orders/{order.order_id}/cancel")
        print(f"         {order.customer} cancels {order.order_id}")


def progress(statuses: Sequence[tuple[str, str]], wanted: int, when: str) -> str:
    """Say on one line how many runs of each function have ended, and how."""
    ended = Counter(status for _, status in statuses if status in ENDED)
    begun = Counter(function for function, _ in statuses)
    done = Counter(function for function, status in statuses if status in ENDED)
    per_function = "  ".join(
        f"{name} {done[name]}/{count}" for name, count in sorted(begun.items())
    )
    return f"{when:>7}  {ended.total():3} of {wanted} runs ended   {per_function}"


def show(runs: Sequence[Run], orders: Sequence[Order], *, every_step: bool) -> None:
    """Print the table of all runs and the steps of some orders, or of every order."""
    columns = max(shutil.get_terminal_size((150, 40)).columns, 100)
    print("\nEvery run\n")
    print("\n".join(run_table(runs, columns=columns)))
    print(f"\n{LEGEND}")
    for order in orders if every_step else one_of_each_kind(orders):
        own = [run for run in runs if run.order_id == order.order_id]
        if own:
            print(f"\n{order.order_id}, {order.customer}, {order.country}, by {order.payment}\n")
            print("\n".join(step_table(own, columns=columns)))


def one_of_each_kind(orders: Iterable[Order]) -> list[Order]:
    """Choose the first order of each kind of story."""
    kinds: dict[object, Order] = {}
    for order in orders:
        story = tuple((o.function, o.status, o.state, o.tries) for o in expected_of(order))
        kinds.setdefault((story, order.payment), order)
    return list(kinds.values())


def conclude(wrong: Sequence[str]) -> int:
    """Say whether all ended as expected, and what to do next; return the exit code."""
    if wrong:
        print("\nNot every run ended as expected:")
        print("\n".join(f"  {line}" for line in wrong))
        return 1
    print("\nAll runs ended as expected. `make dev` keeps the server and the shop running.")
    return 0


def elapsed(began: float) -> str:
    """Write the time since a moment."""
    return f"{time.monotonic() - began:.1f} s"


if __name__ == "__main__":
    sys.exit(main())

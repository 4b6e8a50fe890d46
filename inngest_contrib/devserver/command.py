"""
The command `inngest-core dev`: options in, a running server, a readable end.

What a server needs beyond the core (the extra `dev`) is imported when it is asked for.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from inngest_core.wire.time import parse_duration

_NEW_OBJECTS = 20_000
DEFAULT_DATABASE = Path(".inngest") / "dev.db"
LEVELS = ("debug", "info", "warning", "error")


class _Seconds(click.FloatRange):
    """A time that comes to an end: neither nan nor inf."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Read the option."""
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


def _read_retain(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    """Milliseconds of a text like `7d` or `1h30m`; more than none."""
    if text is None:
        return None
    try:
        ms = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error
    if ms <= 0:
        raise click.BadParameter(f"{text} would keep nothing.")
    return ms


@click.command("dev")
@click.option("-u", "--url", "urls", multiple=True, help="Address of an app; may be repeated.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8288,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A further name for this machine, in addresses and of pages that may send events.",
)
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The database file.  [default: {DEFAULT_DATABASE}]",
)
@click.option("--in-memory", is_flag=True, help="Keep nothing when the server ends.")
@click.option(
    "--durability",
    type=click.Choice(["normal", "full"]),
    default="normal",
    show_default=True,
    help="normal survives a crash of this process, full also the loss of power.",
)
@click.option(
    "--retain",
    callback=_read_retain,
    metavar="DURATION",
    help="Delete runs that ended so long ago, and their events: 7d, 12h.  [default: keep all]",
)
@click.option(
    "--vacuum",
    is_flag=True,
    help="First rewrite the database file without gaps; needs its size in free space.",
)
@click.option(
    "--app",
    metavar="MODULE:ATTRIBUTE",
    help="A client whose functions run inside this process, without HTTP.",
)
@click.option(
    "--retry-interval",
    type=_Seconds(min=0),
    metavar="SECONDS",
    help="Wait this long before every retry, instead of longer each time.",
)
@click.option("--scan", is_flag=True, help="Look for apps at the usual ports of this machine.")
@click.option("--no-poll", is_flag=True, help="Do not ask apps again whether they have changed.")
@click.option(
    "--poll-interval",
    type=_Seconds(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to ask.",
)
@click.option(
    "--signing-key",
    envvar="INNGEST_SERVER_SIGNING_KEY",
    metavar="HEX",
    help="Ask everyone for a key, and sign what is sent to apps. Also $INNGEST_SERVER_SIGNING_KEY, "
    "which other users of this machine cannot see.",
)
@click.option(
    "--event-key",
    "event_keys",
    envvar="INNGEST_SERVER_EVENT_KEY",
    multiple=True,
    metavar="KEY",
    help="With it events may be sent; may be repeated. Also $INNGEST_SERVER_EVENT_KEY.",
)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
def dev(
    urls: tuple[str, ...],
    host: str,
    port: int,
    allowed_hosts: tuple[str, ...],
    db: Path | None,
    in_memory: bool,
    durability: str,
    retain: int | None,
    vacuum: bool,
    app: str | None,
    retry_interval: float | None,
    scan: bool,
    no_poll: bool,
    poll_interval: float,
    signing_key: str | None,
    event_keys: tuple[str, ...],
    log_level: str,
) -> None:
    """Run an Inngest server on this machine, for development and tests."""
    if db and in_memory:
        raise click.UsageError("--db and --in-memory exclude each other.")
    if vacuum and in_memory:
        raise click.UsageError("--vacuum is for a file, and --in-memory has none.")
    _log_to_terminal(log_level)
    serving = _serving()
    options = serving.Options(
        urls=tuple(url if "://" in url else f"http://{url}" for url in urls),
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
        database=None if in_memory else str(_prepare(db or DEFAULT_DATABASE)),
        durability=durability,
        retain=retain,
        vacuum=vacuum,
        app=app,
        retry_interval=retry_interval,
        poll=not no_poll,
        poll_interval=poll_interval,
        scan=scan,
        signing_key=signing_key,
        event_keys=event_keys,
    )
    _run(serving, options)


def _log_to_terminal(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    # Apps in this process send through httpx, which tells every request at the level info.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _serving() -> Any:
    try:
        from inngest_contrib.devserver import serving
    except ImportError as error:
        raise click.ClickException(
            f"The server needs {error.name}, which is not installed. "
            "Install the extra: pip install 'inngest-core[dev]'"
        ) from error
    return serving


def _prepare(path: Path) -> Path:
    """Make the directory of the database. The default one is kept out of version control."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path == DEFAULT_DATABASE:
            (path.parent / ".gitignore").write_text("*\n")
    except OSError as error:
        raise click.ClickException(f"Cannot make the directory of {path}: {error}") from error
    return path


def _run(serving: Any, options: Any) -> None:
    """Serve until the end; what a user can put right ends with a message, not with a traceback."""
    try:
        _runner()(serving.serve(options, ready=_announce))
    except serving.EXPECTED as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        # Only where signals cannot be handled: the server has been ended by asyncio.
        pass


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """What runs the server: uvloop where the extra `speed` is installed, else asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def _spare_the_collector() -> None:
    """
    Let the collector of cycles look at what is new only, and less often: this process is ours.

    A thousand parallel steps make a thousand tasks for each call; looking at everything that has
    been loaded, again and again meanwhile, took more time than all the rest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)


def _announce(url: str) -> None:
    """Tell where the server is: one line, the same for people and for programs."""
    _spare_the_collector()
    click.echo(f"inngest-core dev: ready on {url}")

"""`connect`: a worker for the functions of some clients, until a signal ends it."""

from __future__ import annotations

import asyncio

import click

from .failure import WrongInput
from .subject import Command, Subject, client_argument, pass_subject


@click.command("connect", cls=Command)
@client_argument(several=True)
@click.option("--instance-id", metavar="NAME", help="What the server shows.  [default: hostname]")
@click.option(
    "--max-concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many functions may run at once; also $INNGEST_CONNECT_MAX_WORKER_CONCURRENCY.",
)
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    help="Tell there, over HTTP, how the worker is. 0 takes a free one.",
)
@click.option(
    "--health-host",
    default="127.0.0.1",
    show_default=True,
    help="Where that port is; 0.0.0.0 where others look after this machine.",
)
@pass_subject
def connect(
    subject: Subject,
    instance_id: str | None,
    max_concurrency: int | None,
    health_port: int | None,
    health_host: str,
) -> None:
    """
    Run the functions of one or more clients over one connection to the server.

    Nothing has to reach this machine. SIGTERM or Ctrl-C ends it once what runs is done.
    """
    from ..connect import ConnectionState
    from ..connect import connect as make

    clients = subject.clients
    for client in clients:
        if not client.functions:
            raise WrongInput(f'the client "{client.app_id}" has no functions; import their modules')
    connection = make(
        [(client, None) for client in clients],
        instance_id=instance_id,
        max_worker_concurrency=max_concurrency,
        health_port=health_port,
        health_host=health_host,
    )

    async def announce() -> None:
        await connection.wait_for_state(ConnectionState.ACTIVE)
        count = sum(client.function_count for client in clients)
        health = f", health on {connection.health_url}" if connection.health_url else ""
        click.echo(f"connected as {connection.get_connection_id()}; functions: {count}{health}")

    async def work() -> None:
        announcing = asyncio.create_task(announce())
        try:
            await connection.start()
        finally:
            announcing.cancel()
            await asyncio.wait({announcing})

    asyncio.run(work())

"""How a command ends when something is wrong: one line on stderr, and a status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from ..errors import ConfigError, InngestError


class Failure(click.ClickException):
    """The work failed: the server, the network, a function."""

    exit_code = 1


class WrongInput(click.ClickException):
    """The command line or a setting is wrong."""

    exit_code = 2


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Turn our errors into Failures: a line, and no traceback."""
    try:
        yield
    except ConfigError as error:
        raise WrongInput(str(error)) from error
    except InngestError as error:
        raise Failure(str(error)) from error

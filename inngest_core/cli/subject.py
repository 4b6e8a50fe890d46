"""Which client a command is about: the given one, one that its words name, or the environment's."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from .failure import WrongInput

if TYPE_CHECKING:
    from ..client import Inngest

F = TypeVar("F", bound=Callable[..., Any])
Given: TypeAlias = "Inngest | Callable[[], Inngest] | None"

APP_ID = "inngest-core"
"""What the client of the command itself is called."""


class Subject:
    """
    The client that a command is about, built when it is first asked for.

    given: as for `build`. Without it, the client is the one that the command line
    names, else one that knows only the environment.
    """

    def __init__(self, given: Given = None) -> None:
        self._given = given
        self._named: tuple[str, ...] = ()
        self._clients: list[Inngest] | None = None

    @property
    def is_given(self) -> bool:
        """Whether whoever built the commands gave the client."""
        return self._given is not None

    @property
    def is_known(self) -> bool:
        """Whether there is a client of the user's, given or named, with functions of its own."""
        return self.is_given or bool(self._named)

    @property
    def clients(self) -> list[Inngest]:
        """Every client that was named; else the only one."""
        if self._clients is None:
            self._clients = self._found()
        return self._clients

    @property
    def client(self) -> Inngest:
        """The client; the first where several were named."""
        return self.clients[0]

    def name(self, *paths: str) -> None:
        """Be about the clients at these paths, `module:client`."""
        self._named = paths
        self._clients = None

    def close(self) -> None:
        """Give back what the clients have opened, where they are ours: a given one lives on."""
        if not self.is_given:
            for client in self._clients or ():
                client.close()

    def _found(self) -> list[Inngest]:
        if self._named:
            return [load_client(path) for path in self._named]
        if self._given is None:
            return [_plain_client()]
        return [self._given() if callable(self._given) else self._given]


pass_subject = click.make_pass_decorator(Subject)
"""Hand the Subject to a command's function, as its first argument."""


def _plain_client() -> Inngest:
    from ..client import Inngest

    return Inngest(app_id=APP_ID)


# ---- naming a client


class _NamesClient(click.Parameter):
    """A parameter that names a client; it is gone where one is given."""


class _Argument(click.Argument, _NamesClient):
    pass


class _Option(click.Option, _NamesClient):
    pass


class Command(click.Command):
    """A command that may name its client, unless that is given."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters in this surrounding."""
        params = super().get_params(ctx)
        subject = ctx.find_object(Subject)
        if subject is None or not subject.is_given:
            return params
        return [param for param in params if not isinstance(param, _NamesClient)]


def _choose(context: click.Context, _param: click.Parameter, paths: Any) -> None:
    named = (paths,) if isinstance(paths, str) else tuple(paths or ())
    if named:
        context.ensure_object(Subject).name(*named)


def client_argument(*, several: bool = False) -> Callable[[F], F]:
    """Let the words of a command name its client; with several, its clients."""
    return click.argument(
        "named_clients",
        cls=_Argument,
        metavar="MODULE:CLIENT..." if several else "MODULE:CLIENT",
        nargs=-1 if several else 1,
        required=True,
        expose_value=False,
        callback=_choose,
    )


def client_option(function: F) -> F:
    """Let an option of a command name its client; without it, the environment says."""
    return click.option(
        "--app",
        "named_clients",
        cls=_Option,
        metavar="MODULE:CLIENT",
        expose_value=False,
        callback=_choose,
        help="Take settings and keys from this client, not from the environment.",
    )(function)


def load_client(path: str) -> Inngest:
    """
    The client at *path*, `module:client`, seen from the working directory.

    Without `:client` it is the only one of the module.
    """
    module_name, _, attribute = path.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = _module(module_name, path)
    found = _attribute(module, attribute, path) if attribute else _only_client(module, path)
    from ..client import Inngest

    if not isinstance(found, Inngest):
        kind = type(found).__name__
        raise WrongInput(f"{path} is of the type {kind}; name an inngest_core.Inngest")
    return found


def _module(name: str, path: str) -> ModuleType:
    if not name:
        raise WrongInput(f'"{path}": write it as module:client, such as shop.app:client')
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise WrongInput(f"{path}: it imports {error.name}, which is not installed") from error
        raise WrongInput(
            f'{path}: there is no module "{error.name}", seen from {os.getcwd()}; go to the '
            "directory that holds it, or set PYTHONPATH"
        ) from error


def _attribute(module: ModuleType, attribute: str, path: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            clients = ", ".join(_clients_in(module)) or "none"
            raise WrongInput(
                f'{path}: {module.__name__} has no "{attribute}"; its clients are: {clients}'
            )
        found = getattr(found, part)
    return found


def _only_client(module: ModuleType, path: str) -> Any:
    clients = _clients_in(module)
    if len({id(client) for client in clients.values()}) != 1:
        said = ", ".join(f"{path}:{name}" for name in clients) or "none"
        raise WrongInput(f"{path}: name one client as module:client; there are: {said}")
    return next(iter(clients.values()))


def _clients_in(module: ModuleType) -> dict[str, Inngest]:
    from ..client import Inngest

    return {name: each for name, each in vars(module).items() if isinstance(each, Inngest)}

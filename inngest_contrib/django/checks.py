"""
System checks, tag ``inngest``. The ids are stable; docs/django.md lists them.

Each check looks at one thing and says what to do about it. Checks that are about
production only run with ``--deploy``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.checks import register as register_check
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host
from django.urls import URLPattern, URLResolver, get_resolver

from inngest_core import ConfigError, Function, Inngest
from inngest_core.settings import CLIENT

from . import conf, discovery
from .adapter import Endpoint
from .project import project

TAG = "inngest"
SHORTEST_KEY = 16
"""Characters of an encryption key."""
REST_VIEWS = "inngest_contrib.django.rest.views"

Found = Iterator[CheckMessage]


def register() -> None:
    """Let Django run the checks."""
    for check in (settings, keys, encryption, functions, expressions, endpoint, plugins, rest):
        register_check(check, TAG)
    for check in (mode, async_functions, origin):
        register_check(check, TAG, deploy=True)


# ---- settings


def settings(**_: Any) -> list[CheckMessage]:
    """E001 and E002: the settings make a client."""
    try:
        found = conf.current()
        if CLIENT not in found.values and not found.get("APP_ID"):
            hint = 'INNGEST = {"APP_ID": "shop"}, or CLIENT: the dotted path of your own client.'
            return [Error("INNGEST has no APP_ID.", hint=hint, id="inngest.E001")]
        found.endpoint_arguments()
        project.client()
    except Exception as error:
        # A module that CLIENT or MIDDLEWARE names may raise anything.
        return [Error(_said(error), hint="Correct INNGEST.", id="inngest.E002")]
    return []


def keys(**_: Any) -> list[CheckMessage]:
    """W003, E004, W005: in cloud mode there are keys, and they are well formed."""
    client = _client()
    if client is None or not client.is_production:
        return []
    return list(_keys(client))


def _keys(client: Inngest) -> Found:
    hint = "Set it in the environment. For local work set INNGEST_DEV=1, or DEV in INNGEST."
    if not client.signing_key:
        yield Warning(
            "INNGEST_SIGNING_KEY is not set: no request of the server can be believed.",
            hint=hint,
            id="inngest.W003",
        )
    elif problem := _malformed(client):
        hint = "Copy the key as a whole: signkey-<environment>-<an even number of hex digits>."
        yield Error(problem, hint=hint, id="inngest.E004")
    if not client.event_key:
        yield Warning(
            "INNGEST_EVENT_KEY is not set: no event can be sent.", hint=hint, id="inngest.W005"
        )


def _malformed(client: Inngest) -> str | None:
    from .adapter import new_handler

    try:
        new_handler(client, []).require_key()
    except ConfigError as error:
        return _said(error)
    return None


def encryption(**_: Any) -> list[CheckMessage]:
    """W014: what encrypts is no short password."""
    options = _options_of("encryption")
    key = options.get("key")
    if not isinstance(key, str | bytes) or len(key) >= SHORTEST_KEY:
        return []
    message = f"The encryption key has {len(key)} characters: it can be guessed."
    hint = 'Take a random one: python -c "import secrets; print(secrets.token_urlsafe(32))".'
    return [Warning(message, hint=hint, id="inngest.W014")]


def _options_of(plugin: str) -> Mapping[str, Any]:
    client = _client()
    return client.config.options(plugin) if client else {}


# ---- functions


def functions(**_: Any) -> list[CheckMessage]:
    """E006, E007, E008: every function could be created."""
    return [
        Error(
            f"{module}: {error}",
            hint="Its functions, and those below in the same module, are not served.",
            id=_id_of(str(error)),
        )
        for module, error in discovery.problems
    ]


def _id_of(message: str) -> str:
    if "there are two functions" in message:
        return "inngest.E006"
    return "inngest.E007" if "cron" in message else "inngest.E008"


def expressions(**_: Any) -> list[CheckMessage]:
    """W009: every expression can be read, as far as a library for them is installed."""
    compiles = _compiler()
    client = _client()
    return [
        Warning(
            f"{function.id}: the expression {text!r} cannot be read: {problem}",
            hint="Expressions are CEL, like event.data.total > 100.",
            obj=function,
            id="inngest.W009",
        )
        for function in (client.functions if client else ())
        for text in _texts(function)
        if (problem := compiles(text))
    ]


def _texts(function: Function[Any]) -> Iterator[str]:
    opts = function.config.opts
    for trigger in opts.triggers:
        yield from filter(None, [getattr(trigger, "expression", None)])
    for cancel in opts.cancel or ():
        yield from filter(None, [cancel.if_exp])
    for option in (
        opts.batch_events,
        opts.debounce,
        opts.rate_limit,
        opts.throttle,
        opts.singleton,
    ):
        yield from filter(None, [getattr(option, "key", None)])
    yield from filter(None, [opts.idempotency, opts.priority.run if opts.priority else None])


def _compiler() -> Any:
    """Says what is wrong with an expression; None where it is right, or nobody can say."""
    for name, compile_with in (("cel", _with_cel), ("celpy", _with_celpy)):
        try:
            library = import_module(name)
        except ImportError:
            continue
        return lambda text, use=compile_with, library=library: _problem(use, library, text)
    return lambda text: None


def _with_cel(library: Any, text: str) -> None:
    library.compile(text)


def _with_celpy(library: Any, text: str) -> None:
    library.Environment().compile(text)


def _problem(compile_with: Any, library: Any, text: str) -> str | None:
    try:
        compile_with(library, text)
    except Exception as error:
        return " ".join(str(error).split())[:200]
    return None


# ---- where functions are served


def endpoint(**_: Any) -> list[CheckMessage]:
    """W010: the server finds the functions."""
    client = _client()
    if (
        client is None
        or not client.functions
        or any(isinstance(view, Endpoint) for view in _views())
    ):
        return []
    hint = (
        'urlpatterns += [path("api/", include("inngest_contrib.django.urls"))]; '
        "not needed where a worker connects."
    )
    return [Warning("No URL leads to the functions.", hint=hint, id="inngest.W010")]


def _views() -> Iterator[Any]:
    """Every view that a URL leads to."""
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return
    pending: list[Any] = [get_resolver()]
    while pending:
        one = pending.pop()
        if isinstance(one, URLResolver):
            pending.extend(one.url_patterns)
        elif isinstance(one, URLPattern):
            yield one.callback


def plugins(**_: Any) -> list[CheckMessage]:
    """W011: every installed plugin works."""
    client = _client()
    installed = client.engine.plugins.loaded.installed.values() if client else ()
    return [
        Warning(
            f'plugin "{found.name}" of {found.origin} is {found.problem}.',
            hint=f"Repair or uninstall it, or set INNGEST_DISABLE_PLUGINS={found.name}.",
            id="inngest.W011",
        )
        for found in installed
        if found.problem and found.problem.startswith("broken")
    ]


def rest(**_: Any) -> list[CheckMessage]:
    """E012 and W013: where the REST API is served it works, and somebody may use it."""
    if not _serves_rest():
        return []
    if not apps.is_installed("rest_framework"):
        hint = 'INSTALLED_APPS += ["rest_framework"]'
        return [Error("The REST API needs rest_framework.", hint=hint, id="inngest.E012")]
    from .rest.views import nobody_can_enter

    if not nobody_can_enter():
        return []
    hint = "Add a class to DEFAULT_AUTHENTICATION_CLASSES in REST_FRAMEWORK."
    message = "Nobody can use the REST API: it is for admins, and REST framework knows no user."
    return [Warning(message, hint=hint, id="inngest.W013")]


def _serves_rest() -> bool:
    return any(_home(view) == REST_VIEWS for view in _views())


def _home(view: Any) -> str:
    """The module of a view of REST framework."""
    return str(getattr(getattr(view, "cls", None), "__module__", ""))


# ---- with --deploy


def mode(**_: Any) -> list[CheckMessage]:
    """W020: production does not believe everybody."""
    client = _client()
    if client is None or client.is_production or django_settings.DEBUG:
        return []
    hint = "Take INNGEST_DEV away, or DEV out of INNGEST, and set the two keys."
    message = "DEBUG is off, but Inngest is in dev mode: requests are not checked."
    return [Warning(message, hint=hint, id="inngest.W020")]


def async_functions(**_: Any) -> list[CheckMessage]:
    """I021: what async functions are run on."""
    client = _client()
    if client is None or getattr(django_settings, "ASGI_APPLICATION", None):
        return []
    found = [function.id for function in client.functions if function.is_handler_async]
    if not found:
        return []
    message = f"There are async functions ({', '.join(found[:3])}), and no ASGI_APPLICATION."
    hint = "Under WSGI they share one event loop per process; set it if you deploy under ASGI."
    return [Info(message, hint=hint, id="inngest.I021")]


def origin(**_: Any) -> list[CheckMessage]:
    """W022 and W023: requests to the registered address are let in."""
    client = _client()
    if client is None:
        return []
    given = conf.current().get("SERVE_ORIGIN") or client.config.serve_origin
    return list(_origin(given if "://" in given else f"https://{given}")) if given else []


def _origin(url: str) -> Found:
    parts = urlsplit(url)
    if not validate_host(parts.hostname or "", django_settings.ALLOWED_HOSTS):
        message = f"The server will call {url}, and {parts.hostname} is not in ALLOWED_HOSTS."
        yield Warning(message, hint="Add it, or correct SERVE_ORIGIN.", id="inngest.W022")
    if parts.scheme == "http" and django_settings.SECURE_SSL_REDIRECT:
        message = f"The server will call {url}, and SECURE_SSL_REDIRECT redirects it."
        yield Warning(message, hint="Give SERVE_ORIGIN as https.", id="inngest.W023")


def _client() -> Inngest | None:
    """The client; None where ``settings`` tells why there is none."""
    try:
        return project.client()
    except Exception:
        return None


def _said(error: Exception) -> str:
    named = isinstance(error, ConfigError | ImproperlyConfigured)
    return str(error) if named else f"{type(error).__name__}: {error}"

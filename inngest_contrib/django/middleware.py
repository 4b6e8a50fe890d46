"""
For ``MIDDLEWARE``: a host that is not allowed is told in JSON where the endpoint is concerned.

Django's CommonMiddleware refuses such a host, as a page of HTML, before any view is asked.
This stands in front of it; it is not needed for anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from .adapter import Endpoint, refuse_host

Next = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class HostMiddleware:
    """Put ``inngest_contrib.django.middleware.HostMiddleware`` first in ``MIDDLEWARE``."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """The refusal, or what the rest of Django answers."""
        refusal = _refusal(request)
        if refusal is None:
            return self._get_response(request)
        return _as_coroutine(refusal) if self._is_async else refusal


async def _as_coroutine(response: HttpResponseBase) -> HttpResponseBase:
    return response


def _refusal(request: HttpRequest) -> HttpResponseBase | None:
    try:
        request.get_host()
    except DisallowedHost as error:
        return refuse_host(str(error)) if _is_for_endpoint(request) else None
    return None


def _is_for_endpoint(request: HttpRequest) -> bool:
    try:
        return isinstance(resolve(request.path_info).func, Endpoint)
    except Resolver404:
        return False

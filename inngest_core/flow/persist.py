"""Trying a request again while there is hope."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..errors import TransportError
from ..wire.http import HttpResponse
from .effect import Flow, Pause

ATTEMPTS = 5
FIRST_DELAY = 0.1


def persistently(request: Callable[[], Flow[HttpResponse]]) -> Flow[HttpResponse]:
    """
    The reply to a request, made up to five times while there is none, or a 5xx.

    The pauses begin at 0.1 s and double, with jitter. Raises the last TransportError.
    """
    for attempt in range(1, ATTEMPTS + 1):
        problem: TransportError | None = None
        try:
            response = yield from request()
        except TransportError as error:
            problem = error
        else:
            if response.status < 500:
                return response
        if attempt < ATTEMPTS:
            yield Pause(FIRST_DELAY * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
    if problem is not None:
        raise problem
    return response

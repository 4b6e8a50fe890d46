"""Waking a run that waits for a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..execution.build import require_text
from .cipher import Sealer
from .effect import Flow
from .fetch import fetch
from .rest import body_of, said, text_in
from .site import Home

_NOBODY = "No signal found"
_METHOD = "send_signal"


def send_signal(home: Home, signal: str, data: object) -> Flow[str | None]:
    """
    Wake the run that waits for *signal*; its id, or None if no run does.

    Raises ConfigError before anything is sent, ServerError and TransportError.
    """
    if home.sealer is not None and isinstance(data, Mapping):
        data = _sealed(home.sealer, data, signal)
    doc = {"signal": require_text(signal, f"{_METHOD} signal"), "data": data}
    body = body_of(doc, f'{_METHOD} "{signal}" data')
    response = yield from fetch(home, "POST", "/v1/signals", body)
    # Another 404 is one of a server, or a proxy, that does not know the path.
    if response.status == 404 and said(response) == _NOBODY:
        return None
    return text_in(response, f'the signal "{signal}"', "data", "run_id")


def _sealed(sealer: Sealer, data: Mapping[str, Any], signal: str) -> Mapping[str, Any]:
    try:
        return sealer.seal_data(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f'{_METHOD} "{signal}" data: it is not JSON: {error}') from None

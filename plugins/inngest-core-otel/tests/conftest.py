"""What all tests need: an environment without the settings of whoever runs them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("INNGEST_"):
            monkeypatch.delenv(name)

"""The hooks and their page in the documentation say the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from inngest_core.plugin import specs

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    headings = re.findall(r"^### (\w+)\((.*)\)$", PAGE.read_text(), re.MULTILINE)
    hooks = {
        name: ", ".join(inspect.signature(found).parameters)
        for name, found in vars(specs).items()
        if name.startswith("inngest_")
    }
    assert dict(headings) == hooks

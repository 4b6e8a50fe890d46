"""The document of the interface is that of the routes, both ways."""

from __future__ import annotations

import json
import re
from typing import Any

from inngest_contrib.devserver.api.app import ROUTES, V2_ROUTES
from inngest_contrib.devserver.api.openapi import OPERATIONS, V2_OPERATIONS, document
from tests.contrib.devserver.live import Running


def test_every_route_is_described_and_nothing_else_is() -> None:
    assert {(method, path) for method, path, _ in ROUTES} == OPERATIONS.keys()
    assert {(method, path) for method, path, _ in V2_ROUTES} == V2_OPERATIONS.keys()


def test_the_document_has_both_addresses_of_the_second_interface() -> None:
    paths = document()["paths"]
    assert paths["/v2/runs"].keys() == paths["/api/v2/runs"].keys() == {"get"}
    described = sum(len(methods) for methods in paths.values())
    assert described == len(ROUTES) + 2 * len(V2_ROUTES)


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [
        one["operationId"] for methods in document()["paths"].values() for one in methods.values()
    ]
    assert len(names) == len(set(names))


def test_what_is_referred_to_is_there() -> None:
    text = json.dumps(document())
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in document()["components"]["schemas"]


def test_every_parameter_of_a_path_is_described() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            described = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert described == set(re.findall(r"{(\w+)}", path)), path


def test_it_is_served(server: Running) -> None:
    served: Any = server.get("/openapi.json")
    assert served["openapi"] == "3.1.0"
    assert served["info"]["version"]
    assert served["paths"].keys() == document()["paths"].keys()

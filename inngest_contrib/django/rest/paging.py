"""Filters and pages of runs: those of the server, whose cursors are passed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

STATUSES = ("QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED")
DEFAULT_LIMIT = 20
MAX_LIMIT = 100


class RunFilter(BaseFilterBackend):
    """``?status=FAILED&function=shop-fulfil``; both may be left out."""

    def read(self, request: Request) -> dict[str, Any]:
        """The filters, as the server wants them. Raises ValidationError."""
        given = [text.upper() for text in request.query_params.getlist("status") if text]
        wrong = [text for text in given if text not in STATUSES]
        if wrong:
            raise ValidationError({"status": f"{wrong[0]} is none of {', '.join(STATUSES)}."})
        return {"status": given, "functionId": request.query_params.get("function")}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """See BaseFilterBackend."""
        return [
            _parameter(
                "status", "Runs of this status.", {"type": "string", "enum": list(STATUSES)}
            ),
            _parameter("function", "Runs of the function of this id.", {"type": "string"}),
        ]


class RunPagination(BasePagination):
    """Pages by the server's cursors: ``?limit=50&cursor=...``."""

    def read(self, request: Request) -> dict[str, Any]:
        """The wanted page, as the server wants it. Raises ValidationError."""
        text = request.query_params.get("limit", str(DEFAULT_LIMIT))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
            raise ValidationError({"limit": f"It must be a number from 1 to {MAX_LIMIT}."})
        return {"limit": int(text), "cursor": request.query_params.get("cursor")}

    def respond(self, request: Request, page: Mapping[str, Any], results: Any) -> Response:
        """A page, with the address of the next."""
        cursor = page.get("cursor") if page.get("hasMore") else None
        here = request.build_absolute_uri()
        next_page = replace_query_param(here, "cursor", cursor) if cursor else None
        return Response({"next": next_page, "results": results})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """See BasePagination."""
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {"next": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """See BasePagination."""
        limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            _parameter("limit", "Runs on a page.", limit),
            _parameter(
                "cursor", "Of the next page, as the page before names it.", {"type": "string"}
            ),
        ]


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    where = {"in": "query", "required": False}
    return {"name": name, **where, "description": description, "schema": schema}

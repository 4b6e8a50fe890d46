"""Events, functions and runs, as view sets. Derive from them to change permissions and the like."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from inngest_core import Event, Function

from ..project import client, project
from . import asking
from .paging import RunFilter, RunPagination
from .parsing import BodyTooLarge, EventParser
from .schema import described
from .serializers import (
    EventSerializer,
    FunctionSerializer,
    RepeatedSerializer,
    RerunSerializer,
    RunDetailSerializer,
    RunSerializer,
    SentSerializer,
)

RUN_ID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
"""A ULID, as the server makes them."""


class _ViewSet(viewsets.GenericViewSet[Any]):
    """What all three share: only admins are let in, and what is refused is refused in JSON."""

    permission_classes = (IsAdminUser,)
    # What the browsable API asks lists for; nothing here is in a table.
    queryset: Any = ()

    def handle_exception(self, exc: Exception) -> Response:
        """See APIView. Django's own limit would be answered with a page of HTML."""
        return super().handle_exception(
            BodyTooLarge() if isinstance(exc, RequestDataTooBig) else exc
        )


class EventViewSet(_ViewSet):
    """
    Send events that functions of this project wait for: one, or a list of them.

    event_types: names that may be sent, ``*`` for any part; None for those that functions
    are triggered by.
    """

    parser_classes = (EventParser,)
    serializer_class = EventSerializer
    throttle_scope = "inngest-events"
    event_types: list[str] | None = None

    def get_serializer_context(self) -> dict[str, Any]:
        """See GenericAPIView."""
        context = super().get_serializer_context()
        chosen = {} if self.event_types is None else {"event_types": self.event_types}
        return {**context, **chosen}

    @described(request=EventSerializer, answers={201: SentSerializer})
    def create(self, request: Request) -> Response:
        """Send events; their ids."""
        many = isinstance(request.data, list)
        serializer = self.get_serializer(data=request.data, many=many)
        serializer.is_valid(raise_exception=True)
        found = serializer.validated_data if many else [serializer.validated_data]
        with asking.told():
            ids = client.send_sync([Event(**one) for one in found])
        return Response({"ids": ids}, status=status.HTTP_201_CREATED)


class FunctionViewSet(_ViewSet):
    """The functions of this project."""

    serializer_class = FunctionSerializer
    pagination_class = None
    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    filter_backends = ()

    @described(request=None, answers={200: FunctionSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """List every function."""
        return Response(self.get_serializer(project.client().functions, many=True).data)

    def retrieve(self, request: Request, id: str) -> Response:
        """Show one function."""
        return Response(self.get_serializer(_function(id)).data)


class RunViewSet(_ViewSet):
    """The runs of this project's functions, as the Inngest server knows them."""

    serializer_class = RunSerializer
    pagination_class = RunPagination
    filter_backends = (RunFilter,)
    lookup_field = "id"
    lookup_value_regex = RUN_ID

    def list(self, request: Request) -> Response:
        """List runs, the newest first."""
        pages = RunPagination()
        query = {**RunFilter().read(request), **pages.read(request)}
        document = asking.ask("GET", "/runs", appId=project.client().app_id, **query)
        runs = self.get_serializer(document.get("data") or [], many=True).data
        return pages.respond(request, document.get("page") or {}, runs)

    @described(request=None, answers={200: RunDetailSerializer})
    def retrieve(self, request: Request, id: str) -> Response:
        """Show a run with its output and its steps."""
        run = _run(id)
        trace = asking.ask("GET", asking.run_path(id, "trace"), includeOutput="true")
        found = {**run, "trace": trace.get("data") or {}}
        return Response(RunDetailSerializer(found).data)

    @described(request=None, answers={200: RunSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """Cancel a run that has not ended."""
        _run(id)
        asking.ask("POST", asking.run_path(id, "cancel"), {})
        return Response(self.get_serializer(_run(id)).data)

    @described(request=RerunSerializer, answers={201: RepeatedSerializer})
    @action(detail=True, methods=["post"], parser_classes=[EventParser])
    def rerun(self, request: Request, id: str) -> Response:
        """Repeat a run as a new one, with the same events."""
        serializer = RerunSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        _run(id)
        wish = _wish(serializer.validated_data)
        document = asking.ask("POST", asking.run_path(id, "rerun"), wish)
        started = (document.get("data") or {}).get("runId")
        return Response({"id": started, "of": id}, status=status.HTTP_201_CREATED)


def nobody_can_enter() -> bool:
    """Whether REST framework knows no way to tell who asks."""
    return not RunViewSet.authentication_classes


def _function(function_id: str) -> Function[Any]:
    for function in project.client().functions:
        if function_id in (function.id, function.local_id):
            return function
    raise NotFound(f"There is no function {function_id}.")


def _run(run_id: str) -> dict[str, Any]:
    """A run of this project; another project's may be on the same server."""
    document = asking.ask("GET", asking.run_path(run_id), includeOutput="true")
    run: dict[str, Any] = document.get("data") or {}
    if (run.get("app") or {}).get("id") != project.client().app_id:
        raise NotFound("Run not found")
    return run


def _wish(given: dict[str, Any]) -> dict[str, Any]:
    if "from_step" not in given:
        return {}
    step: dict[str, Any] = {"stepId": given["from_step"]}
    return {"fromStep": {**step, "input": given["input"]} if "input" in given else step}

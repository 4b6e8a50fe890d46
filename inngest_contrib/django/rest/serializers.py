"""What the REST API takes and gives, as REST framework and its schemas see it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from rest_framework import serializers

from inngest_core import Event, Function

from ..project import project

RESERVED = "inngest/"
"""Events of the server itself begin so; nobody else may send them."""
MOST_EVENTS = 100


class EventListSerializer(serializers.ListSerializer[Any]):
    """Several events at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_empty": False, "max_length": MOST_EVENTS, **kwargs})


class EventSerializer(serializers.Serializer[Any]):
    """An event for a function of this project."""

    name = serializers.CharField(max_length=256, help_text="One that a function waits for.")
    data = serializers.DictField(  # type: ignore[assignment]  # a field, and no property any more
        child=serializers.JSONField(allow_null=True), required=False
    )
    id = serializers.CharField(
        max_length=256, required=False, help_text="Of events of one id, the first starts functions."
    )
    ts = serializers.IntegerField(
        min_value=0,
        max_value=2**53,
        required=False,
        help_text="Unix milliseconds; now unless given.",
    )
    v = serializers.CharField(max_length=256, required=False, help_text="Version of the schema.")

    class Meta:
        list_serializer_class = EventListSerializer

    def validate_name(self, name: str) -> str:
        """Refuse what starts nothing here, and what only the server may say."""
        if name.startswith(RESERVED):
            raise serializers.ValidationError(f"{RESERVED}… events are the server's own.")
        known = self.context.get("event_types", known_events())
        if not any(fnmatchcase(name, pattern) for pattern in known):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise serializers.ValidationError(f"No function waits for {name}.{hint}")
        return name

    @staticmethod
    def event(validated: Mapping[str, Any]) -> Event:
        """The event of validated data."""
        return Event(**validated)


def known_events() -> list[str]:
    """The names of the events that functions of the project are triggered by; may have a ``*``."""
    triggers = (one for function in project.client().functions for one in _triggers(function))
    names = {getattr(trigger, "event", None) for trigger in triggers}
    return sorted(name for name in names if name and not name.startswith(RESERVED))


def _triggers(function: Function[Any]) -> list[Any]:
    return list(function.config.opts.triggers)


class SentSerializer(serializers.Serializer[Any]):
    """The events that were accepted."""

    ids = serializers.ListField(child=serializers.CharField(), help_text="In their order.")


class TriggerSerializer(serializers.Serializer[Any]):
    """What starts a function: an event or a schedule."""

    event = serializers.CharField(required=False)
    expression = serializers.CharField(required=False)
    cron = serializers.CharField(required=False)


class FunctionSerializer(serializers.Serializer[Any]):
    """A function of this project."""

    id = serializers.CharField()
    name = serializers.CharField()
    is_async = serializers.BooleanField()
    retries = serializers.IntegerField(allow_null=True)
    triggers = TriggerSerializer(many=True)

    def to_representation(self, function: Function[Any]) -> dict[str, Any]:
        """See Serializer."""
        return {
            "id": function.id,
            "name": function.name,
            "is_async": function.is_handler_async,
            "retries": function.config.opts.retries,
            "triggers": [
                {key: value for key, value in trigger.model_dump().items() if value is not None}
                for trigger in _triggers(function)
            ],
        }


class RunSerializer(serializers.Serializer[Any]):
    """A run, as the server tells of it."""

    id = serializers.CharField()
    app = serializers.CharField()
    function = serializers.CharField()
    status = serializers.CharField()
    queued_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """See Serializer."""
        return {
            "id": run.get("id"),
            "app": (run.get("app") or {}).get("id"),
            "function": (run.get("function") or {}).get("id"),
            "status": run.get("status"),
            "queued_at": run.get("queuedAt"),
            "started_at": run.get("startedAt"),
            "ended_at": run.get("endedAt"),
        }


class StepSerializer(serializers.Serializer[Any]):
    """A step of a run."""

    name = serializers.CharField()
    op = serializers.CharField(allow_null=True)
    status = serializers.CharField()
    attempts = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    output = serializers.JSONField(allow_null=True)

    def to_representation(self, span: Mapping[str, Any]) -> dict[str, Any]:
        """See Serializer."""
        return {
            "name": span.get("name"),
            "op": span.get("stepOp"),
            "status": span.get("status"),
            "attempts": span.get("attempts") or len(span.get("children") or ()) or 1,
            "started_at": span.get("startedAt"),
            "ended_at": span.get("endedAt"),
            "output": span.get("output"),
        }


class RunDetailSerializer(RunSerializer):
    """A run with its output and its steps."""

    output = serializers.JSONField(allow_null=True)
    steps = StepSerializer(many=True)

    def to_representation(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """See Serializer."""
        root = run["trace"].get("rootSpan") or {}
        spans = [span for span in root.get("children") or () if span.get("stepId")]
        steps = StepSerializer(spans, many=True).data
        return {**super().to_representation(run), "output": run.get("output"), "steps": steps}


class RerunSerializer(serializers.Serializer[Any]):
    """How a run is repeated: as a whole, unless a step is named."""

    from_step = serializers.CharField(
        max_length=256, required=False, help_text="Keep what came before this step."
    )
    input = serializers.ListField(
        child=serializers.JSONField(), required=False, help_text="New arguments of that step."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse arguments of no step."""
        if "input" in attrs and "from_step" not in attrs:
            raise serializers.ValidationError({"input": "It is for the step that from_step names."})
        return attrs


class RepeatedSerializer(serializers.Serializer[Any]):
    """The run that was started."""

    id = serializers.CharField()
    of = serializers.CharField()

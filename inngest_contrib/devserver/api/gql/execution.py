"""
From a question to its answer, within bounds.

Two kinds of bounds: on the question, before anything is read (its size, its depth), and on what is
read for it, while it is read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import graphql
from graphql import GraphQLError

from inngest_contrib.devserver.api.context import Api
from inngest_contrib.devserver.api.gql.ask import Ask
from inngest_contrib.devserver.api.gql.mutations import MUTATIONS
from inngest_contrib.devserver.api.gql.queries import QUERIES
from inngest_contrib.devserver.api.gql.schema import SCHEMA
from inngest_contrib.devserver.api.replies import ApiError

logger = logging.getLogger("inngest.devserver")

MAX_TOKENS = 2_000
MAX_DEPTH = 20
MAX_REPEATS = 50
"""How often one name may stand in a question: the validation compares each with each."""
_ROOTS = {**QUERIES, **MUTATIONS}


async def execute(
    api: Api, query: str, variables: Mapping[str, Any], operation: str | None
) -> dict[str, Any]:
    """Answer with `data`, and with `errors` where there are some."""
    try:
        document = graphql.parse(query, max_tokens=MAX_TOKENS)
        _bound(document)
    except GraphQLError as error:
        return {"errors": [error.formatted], "data": None}
    except RecursionError:
        return {"errors": [{"message": "The question is nested too deeply"}], "data": None}
    mistakes = graphql.validate(SCHEMA, document)
    if mistakes:
        return {"errors": [mistake.formatted for mistake in mistakes], "data": None}
    found = graphql.execute(
        SCHEMA,
        document,
        root_value=_ROOTS,
        context_value=Ask(api),
        variable_values=dict(variables),
        operation_name=operation,
    )
    result = found if isinstance(found, graphql.ExecutionResult) else await found
    return _write(result)


def _write(result: graphql.ExecutionResult) -> dict[str, Any]:
    if not result.errors:
        return {"data": result.data}
    return {"errors": [_describe(error) for error in result.errors], "data": result.data}


def _describe(error: GraphQLError) -> dict[str, Any]:
    """An error for whoever asked; one that is a mistake of ours goes to the log."""
    cause = error.original_error
    if cause is None or isinstance(cause, ApiError | GraphQLError):
        return dict(error.formatted)
    logger.error("GraphQL: a field failed", exc_info=cause)
    told = f"The server failed: {type(cause).__name__}. Its log has the details."
    return {**error.formatted, "message": told}


def _bound(document: graphql.DocumentNode) -> None:
    """Refuse what takes long to understand."""
    _bound_repeats(document)
    _bound_depth(document)


class _Names(graphql.Visitor):
    """Counts the names under which fields are answered."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def enter_field(self, node: graphql.FieldNode, *rest: Any) -> None:
        """Count one."""
        self.counts[(node.alias or node.name).value] += 1


def _bound_repeats(document: graphql.DocumentNode) -> None:
    names = _Names()
    graphql.visit(document, names)
    for name, count in names.counts.most_common(1):
        if count > MAX_REPEATS:
            raise GraphQLError(
                f'"{name}" is asked for {count} times, and {MAX_REPEATS} are allowed'
            )


def _bound_depth(document: graphql.DocumentNode) -> None:
    """Refuse what is nested deeper than anyone asks, fragments counted where they are spread."""
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, graphql.FragmentDefinitionNode)
    }
    depths: dict[str, int] = {}
    for node in document.definitions:
        if isinstance(node, graphql.OperationDefinitionNode):
            depth = _depth(node.selection_set, fragments, depths, ())
            if depth > MAX_DEPTH:
                raise GraphQLError(f"The question is {depth} deep, and {MAX_DEPTH} are allowed")


def _depth(
    selections: graphql.SelectionSetNode | None,
    fragments: Mapping[str, graphql.FragmentDefinitionNode],
    depths: dict[str, int],
    inside: tuple[str, ...],
) -> int:
    deepest = 0
    for node in selections.selections if selections else ():
        if isinstance(node, graphql.FragmentSpreadNode):
            below = _spread_depth(node.name.value, fragments, depths, inside)
        else:
            own = int(isinstance(node, graphql.FieldNode))
            inner = getattr(node, "selection_set", None)
            below = own + _depth(inner, fragments, depths, inside)
        deepest = max(deepest, below)
    return deepest


def _spread_depth(
    name: str,
    fragments: Mapping[str, graphql.FragmentDefinitionNode],
    depths: dict[str, int],
    inside: tuple[str, ...],
) -> int:
    if name in inside or name not in fragments:
        # The validation that follows says what is wrong with it.
        return 0
    if name not in depths:
        found = _depth(fragments[name].selection_set, fragments, depths, (*inside, name))
        depths[name] = found
    return depths[name]

"""The base of what users construct: built when it is first used, so that importing is cheap."""

from __future__ import annotations

import inspect

import pydantic


class _Signature:
    """The fields as the constructor's parameters; pydantic knows none before a model is built."""

    def __get__(self, instance: object, owner: type[pydantic.BaseModel]) -> inspect.Signature:
        owner.model_rebuild()
        built: inspect.Signature = vars(owner)["__signature__"].__get__(None, owner)
        return built


class Model(pydantic.BaseModel):
    """A model that is built at its first use."""

    model_config = pydantic.ConfigDict(defer_build=True)
    __signature__ = _Signature()

"""Models that are asked through the server, and values with types of their own."""

from __future__ import annotations

from typing import Any

from tests.contrib.devserver.live import Call, Reply, stand_in
from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Stage

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "hello"}}]}


@scenario()
def a_model_is_asked(at: Stage) -> Expected:
    """What the server is asked to do; the address is only known once there is a model."""

    @at.function()
    async def asking(ctx: Any) -> Any:
        from importlib import import_module

        provider = import_module(f"{at.kit.module('experimental.ai').__name__}.openai")
        adapter = provider.Adapter(
            auth_key="sk-secret", base_url=ctx.event.data["url"], model="gpt-x"
        )
        body = {"messages": [{"role": "user", "content": "hi"}]}
        answer = await ctx.step.ai.infer("ask", adapter=adapter, body=body)
        return answer["choices"][0]["message"]["content"]

    def play(at: Stage) -> Any:
        def answer(call: Call) -> Reply:
            return Reply(200, ANSWER)

        with stand_in(answer) as model:
            url = model.url.removesuffix("/api/inngest")
            run = at.ended(at.send(data={"url": f"{url}/v1"}))
            (asked,) = model.calls
        return {
            "output": run.output,
            "ops": run.ops,
            "path": asked.path,
            "body": asked.json,
            "key": asked.headers["authorization"],
        }

    return expect(
        play,
        output="hello",
        ops=[["AIGateway ask"], ["200"]],
        path="/v1/chat/completions",
        body={"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]},
        key="Bearer sk-secret",
    )

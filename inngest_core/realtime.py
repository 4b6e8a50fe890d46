"""
Realtime: publish to a channel from here, subscribe to it in a browser.

Nothing is stored: a message without a subscriber is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .flow import realtime as story

if TYPE_CHECKING:
    from .client import Inngest

__all__ = ["get_subscription_token", "get_subscription_token_sync", "publish", "publish_sync"]


async def publish(client: Inngest, channel: str, topic: str, data: Mapping[str, object]) -> None:
    """
    Hand *data* to all who are subscribed to the topic now.

    Raises ConfigError, before anything is sent, for data that is not JSON or has
    more than 512 KB; ServerError if the server refuses it.
    """
    home = client.engine.home
    await client.engine.arun(story.publish(home, channel, topic, data))


def publish_sync(client: Inngest, channel: str, topic: str, data: Mapping[str, object]) -> None:
    """As ``publish``, without a loop."""
    home = client.engine.home
    client.engine.run(story.publish(home, channel, topic, data))


async def get_subscription_token(
    client: Inngest, channel: str, topics: list[str]
) -> Mapping[str, object]:
    """
    A token with which to subscribe to topics of a channel: ``{"channel", "topics", "key"}``.

    Hand it to a browser, where @inngest/realtime takes it as it is. It must be
    used within a minute. Raises ServerError if the server refuses it.
    """
    home = client.engine.home
    return await client.engine.arun(story.subscription_token(home, channel, topics))


def get_subscription_token_sync(
    client: Inngest, channel: str, topics: list[str]
) -> Mapping[str, object]:
    """As ``get_subscription_token``, without a loop."""
    home = client.engine.home
    return client.engine.run(story.subscription_token(home, channel, topics))

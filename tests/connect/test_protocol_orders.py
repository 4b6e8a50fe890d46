"""
Whatever happens to a worker, in whatever order and at whatever time: some things always hold.

A gateway that loses, repeats, delays and garbles what it says, an API that fails, functions that
end when they like, clocks that jump.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inngest_core.connect import connect_pb2 as pb
from inngest_core.connect.effects import (
    Become,
    Cancel,
    Close,
    Effect,
    End,
    Flush,
    Open,
    Run,
    Start,
    Transmit,
)
from inngest_core.connect.frames import unwrap
from tests.connect.wires import (
    CLOSING,
    HEARTBEAT,
    HELLO,
    Story,
    lease_ack,
    ready,
    reply_ack,
    request,
    told,
)

LIMIT = 2
NAMES = st.sampled_from([f"r{n}" for n in range(4)])
GARBAGE = st.one_of(st.binary(max_size=20), st.text(max_size=5))
STATES = {
    "CONNECTING": {"ACTIVE", "RECONNECTING", "CLOSING"},
    "ACTIVE": {"RECONNECTING", "CLOSING"},
    "RECONNECTING": {"CONNECTING", "ACTIVE", "CLOSING"},
    "CLOSING": {"CLOSED"},
    "CLOSED": set(),
}


class Life(RuleBasedStateMachine):
    """One worker, and what the world has seen of it."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(limit=LIMIT)
        self.asked: set[int] = set()
        self.opening: set[int] = set()
        self.open: set[int] = set()
        self.gone: set[int] = set()
        self.running: Counter[str] = Counter()
        self.acked: set[str] = set()
        self.flushing: Counter[str] = Counter()
        self.taken: set[str] = set()
        self.states = ["CONNECTING"]
        self.ended = False

    # ---- the world

    def see(self, _shown: object) -> None:
        for effect in self.story.raw:
            assert not self.ended, f"{effect} behind the end"
            self.meet(effect)

    def meet(self, effect: Effect) -> None:
        match effect:
            case Start():
                self.asked.add(effect.link)
            case Open():
                self.asked.remove(effect.link)
                self.opening.add(effect.link)
            case Transmit():
                assert effect.link in self.open, "a frame for a socket that is not open"
                self.heard(effect)
            case Close():
                assert effect.link not in self.gone, "closed twice"
                self.gone.add(effect.link)
                for links in (self.asked, self.opening, self.open):
                    links.discard(effect.link)
            case Run():
                self.running[effect.request.request_id] += 1
                assert self.running[effect.request.request_id] == 1, "one request runs twice"
                assert effect.request.request_id in self.acked, "a function runs before its ack"
                assert self.running.total() <= LIMIT
                assert effect.request.request_id not in self.taken, "what is done is done again"
            case Cancel():
                assert self.running[effect.request_id] == 1, "cancelled what does not run"
            case Flush():
                self.flushing[effect.request_id] += 1
                assert self.flushing[effect.request_id] == 1, "one reply is posted twice at once"
            case Become():
                assert effect.state.value in STATES[self.states[-1]] | {"CLOSED"}
                self.states.append(effect.state.value)
            case End():
                assert not self.running.total(), "ended while a function runs"
                assert not (self.asked | self.opening | self.open), "ended with a link"
                self.ended = True

    def heard(self, effect: Transmit) -> None:
        kind, _, about = told(effect.frame).partition(" ")
        if kind == "request_ack":
            self.acked.add(about)
        if kind == "reply":
            assert not self.running[about], "a reply of a function that runs"
        assert unwrap(effect.frame).kind != pb.GATEWAY_HEARTBEAT

    # ---- what may happen

    @initialize()
    def begin(self) -> None:
        self.see(self.story.begin())

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), group=st.sampled_from(["g", "h", ""]))
    def start(self, data: st.DataObject, group: str) -> None:
        self.see(self.story.started(data.draw(st.sampled_from(sorted(self.asked))), group))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        self.see(self.story.refused(data.draw(st.sampled_from(sorted(self.asked)))))

    @precondition(lambda self: self.opening)
    @rule(data=st.data())
    def opens(self, data: st.DataObject) -> None:
        link = data.draw(st.sampled_from(sorted(self.opening)))
        self.opening.remove(link)
        self.open.add(link)
        self.see(self.story.opened(link))

    @precondition(lambda self: self.open | self.opening)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.see(self.story.lost(data.draw(st.sampled_from(sorted(self.open | self.opening)))))

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        said=st.one_of(
            st.sampled_from([HELLO, ready(), HEARTBEAT, CLOSING]),
            st.builds(request, NAMES, st.sampled_from(["L1", "L2"])),
            st.builds(lease_ack, NAMES, st.sampled_from(["L3", None])),
            st.builds(reply_ack, NAMES),
            GARBAGE,
        ),
    )
    def say(self, data: st.DataObject, said: bytes | str) -> None:
        self.see(self.story.received(said, data.draw(st.sampled_from(sorted(self.open)))))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def greet(self, data: st.DataObject) -> None:
        link = data.draw(st.sampled_from(sorted(self.open)))
        self.see(self.story.received(HELLO, link))
        if link in self.open:
            self.see(self.story.received(ready(), link))

    @precondition(lambda self: self.running.total())
    @rule(data=st.data(), cancelled=st.booleans())
    def finish(self, data: st.DataObject, cancelled: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[name]
        self.see(self.story.finished(name, cancelled=cancelled))

    @precondition(lambda self: self.flushing.total())
    @rule(data=st.data(), taken=st.booleans(), final=st.booleans())
    def post(self, data: st.DataObject, taken: bool, final: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.flushing)))
        del self.flushing[name]
        if taken:
            self.taken.add(name)
        did = self.story.flushed(name) if taken else self.story.unflushed(name, final=final)
        self.see(did)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 5.0, 10.0, 31.0, 61.0, 100_000.0, -1000.0]))
    def wait(self, seconds: float) -> None:
        self.see(self.story.after(seconds))

    @rule()
    def wait_until_due(self) -> None:
        seconds = self.story.worker.wait()
        if seconds is not None:
            self.see(self.story.after(seconds + 1e-6))
            assert self.story.worker.wait() != 0.0, "what was due is due again at once"

    @rule(chance=st.integers(0, 9))
    def close(self, chance: int) -> None:
        if chance == 0:
            self.see(self.story.close())

    # ---- what always holds

    @invariant()
    def it_is_never_stuck(self) -> None:
        """Something is due, or somebody owes an answer, or all is over."""
        waits_for_others = self.asked or self.running.total() or self.flushing.total()
        assert self.ended or waits_for_others or self.story.worker.wait() is not None

    @invariant()
    def its_state_is_the_one_it_told(self) -> None:
        assert self.story.state == self.states[-1]

    def teardown(self) -> None:
        """However it stands: once it is told to close, and all answer, it ends."""
        self.see(self.story.close())
        for _ in range(200):
            if self.ended:
                break
            self.settle()
        assert self.ended, "it did not end"
        assert self.story.worker.wait() is None

    def settle(self) -> None:
        """Let functions end and replies be taken, and time pass."""
        for name in list(self.running):
            del self.running[name]
            self.see(self.story.finished(name))
        for name in list(self.flushing):
            del self.flushing[name]
            self.see(self.story.flushed(name))
        seconds = self.story.worker.wait()
        if seconds is not None and not self.ended:
            self.see(self.story.after(seconds + 1e-6))


Life.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLife = Life.TestCase

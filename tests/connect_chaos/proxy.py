"""
A TCP proxy between worker and gateway. It knows frames of websockets, so that it can lose, repeat,
delay and forge single messages; plain HTTP passes as it comes.

It has a thread and a loop of its own: neither side can hold it up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import DecodeError

from inngest_core.connect import connect_pb2 as pb
from tests.connect_chaos.schedule import Fault

_LATE = 0.35
_GARBAGE = b"\xff\xfe\xfd garbage"
_BINARY = 0x82


class Proxy:
    """Listens at `port`, and passes on to `upstream`."""

    def __init__(self, upstream: int, faults: Iterator[tuple[Fault, float] | None]) -> None:
        self.upstream = upstream
        self.port = 0
        self.healed = False
        """Nothing goes wrong any more."""
        self.refusing = False
        self.struck: list[str] = []
        """What has become of frames, for whoever reads of a failure."""
        self._faults = faults
        self._pipes: set[_Pipe] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="proxy")

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End it, and all connections."""
        self._call(self._end.set)
        self._thread.join()

    def break_all(self) -> None:
        """Break every connection."""
        self._call(lambda: self._each(_Pipe.break_off))

    def freeze_all(self) -> None:
        """Let nothing pass any more on the connections there are."""
        self._call(lambda: self._each(_Pipe.freeze))

    def heal(self) -> None:
        """From now on all is well; what was frozen breaks."""
        self.healed, self.refusing = True, False
        self._call(lambda: self._each(_Pipe.thaw))

    def _each(self, what: Callable[[_Pipe], None]) -> None:
        for pipe in list(self._pipes):
            what(pipe)

    def next_fault(self) -> tuple[Fault, float] | None:
        """What becomes of the next frame."""
        return None if self.healed else next(self._faults)

    def _call(self, what: Any) -> None:
        self._loop.call_soon_threadsafe(what)

    async def _main(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        self._each(_Pipe.break_off)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refusing or self._end.is_set():
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        pipe = _Pipe(self, writer, up_writer)
        self._pipes.add(pipe)
        try:
            await pipe.run(reader, up_reader)
        finally:
            self._pipes.discard(pipe)


class _Pipe:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, down: asyncio.StreamWriter, up: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._down = down
        self._up = up
        self._frozen: set[asyncio.StreamWriter] = set()
        self._websocket = False

    def break_off(self) -> None:
        self._down.transport.abort()
        self._up.transport.abort()

    def freeze(self) -> None:
        self._frozen |= {self._down, self._up}

    def thaw(self) -> None:
        if self._frozen:
            self.break_off()

    async def run(self, down: asyncio.StreamReader, up: asyncio.StreamReader) -> None:
        both = [
            asyncio.ensure_future(self._pump(down, self._up, from_worker=True)),
            asyncio.ensure_future(self._pump(up, self._down, from_worker=False)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            # A goodbye of one side may still be on its way to the other.
            await asyncio.wait(both, timeout=0.05)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self.break_off()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_worker: bool
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await source.readuntil(b"\r\n\r\n")
            if from_worker:
                self._websocket = b"upgrade: websocket" in head.lower()
            await self._write(sink, head)
            if self._websocket:
                await self._pump_frames(source, sink, from_worker=from_worker)
            while data := await source.read(65536):
                await self._write(sink, data)

    async def _pump_frames(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_worker: bool
    ) -> None:
        while True:
            frame = await _read_frame(source)
            fault = self._proxy.next_fault() if frame.opcode == 2 else None
            if fault is None:
                await self._write(sink, frame.raw)
            else:
                await self._strike(frame, sink, *fault, from_worker=from_worker)

    async def _strike(
        self,
        frame: _Frame,
        sink: asyncio.StreamWriter,
        fault: Fault,
        number: float,
        *,
        from_worker: bool,
    ) -> None:
        self._proxy.struck.append(f"{fault.value} {frame.name}")
        if fault is Fault.BREAK:
            self.break_off()
        elif fault is Fault.FREEZE:
            self._frozen.add(sink)
        elif fault is Fault.DELAY:
            await asyncio.sleep(number * _LATE)
            await self._write(sink, frame.raw)
        elif fault is Fault.TWICE:
            await self._write(sink, frame.raw * 2)
        elif fault is Fault.GARBAGE:
            await self._write(sink, frame.raw + _build(_GARBAGE, masked=from_worker))
        elif fault is Fault.REFUSE:
            await self._write(sink, _refusal(frame))

    async def _write(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        if sink in self._frozen:
            return
        sink.write(data)
        await sink.drain()


class _Frame:
    """A frame of a websocket, as it came."""

    def __init__(self, raw: bytes, opcode: int, body: bytes) -> None:
        self.raw = raw
        self.opcode = opcode
        self.message = pb.ConnectMessage()
        if opcode == 2:
            with contextlib.suppress(DecodeError):  # Garbage, perhaps of our own.
                self.message.ParseFromString(body)

    @property
    def name(self) -> str:
        return pb.MessageKind.Name(self.message.kind)


async def _read_frame(source: asyncio.StreamReader) -> _Frame:
    head = await source.readexactly(2)
    length, masked = head[1] & 0x7F, head[1] & 0x80
    extra = await source.readexactly({126: 2, 127: 8}.get(length, 0))
    length = int.from_bytes(extra, "big") if extra else length
    mask = await source.readexactly(4) if masked else b""
    body = await source.readexactly(length)
    plain = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)) if mask else body
    return _Frame(head + extra + mask + body, head[0] & 0x0F, plain)


def _build(body: bytes, *, masked: bool) -> bytes:
    assert len(body) < 126, "only short frames are forged"
    # A mask of zeros changes nothing, and is one all the same.
    bit, mask = (0x80, bytes(4)) if masked else (0, b"")
    return bytes([_BINARY, bit | len(body)]) + mask + body


def _refusal(frame: _Frame) -> bytes:
    """An answer to an extension without a new lease; all other frames as they are."""
    if frame.message.kind != pb.WORKER_REQUEST_EXTEND_LEASE_ACK:
        return frame.raw
    answer = pb.WorkerRequestExtendLeaseAckData.FromString(frame.message.payload)
    short = pb.WorkerRequestExtendLeaseAckData(request_id=answer.request_id)
    forged = pb.ConnectMessage(kind=frame.message.kind, payload=short.SerializeToString())
    return _build(forged.SerializeToString(), masked=False)

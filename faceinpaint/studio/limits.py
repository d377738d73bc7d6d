"""What the studio's visitors may ask of its server: how many they are, how long, and how much each one sends."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from jupyter_server.base.call_context import CallContext
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler

MOST_VISITORS = 8  # at a time; each has a kernel, which takes up to 2 GB
GRACE = 2.0  # seconds that a full house waits: a page that is reloaded may ask before its old kernel has ended
CONNECTED = 30.0  # seconds after which a whole page has connected to its kernel; a closed one may be too busy to say so
WINDOW = 10.0  # seconds in which the next two are counted
MOST_MESSAGES = 1000  # somebody who draws sends a few in a second
MOST_BYTES = 256_000_000
KERNEL = "KERNEL"  # the name of a request's kernel in its context
TOO_MUCH = 1008  # the WebSocket's code of a policy that was violated


class FewVisitors(AsyncMappingKernelManager):
    """Kernels for MOST_VISITORS pages; who comes after them is told to wait (status 503)."""

    async def start_kernel(self, **options: object) -> str:  # ty: ignore[incompatible-mutable-override]
        latest = time.monotonic() + GRACE
        while len(self) >= MOST_VISITORS and time.monotonic() < latest:
            await asyncio.sleep(0.05)
        if len(self) >= MOST_VISITORS:
            raise HTTPError(503, f"{MOST_VISITORS} pages of the studio are open: close one, or wait for somebody to")
        kernel_id = await super().start_kernel(**options)
        CallContext.set(KERNEL, kernel_id)
        return kernel_id


class Page(TornadoVoilaHandler):
    """The page, piece by piece; who leaves before it is whole, or does not connect then, takes its kernel along."""

    @authenticated
    async def get(self, path: str | None = None) -> None:
        try:
            async for piece in self.get_generator(path):
                self.write(piece)
                await self.flush()
            self.finish()
            await asyncio.sleep(CONNECTED)
        except StreamClosedError:
            pass
        kernel_id, manager = CallContext.get(KERNEL), self.kernel_manager
        if kernel_id in manager and not manager.kernel_model(kernel_id)["connections"]:
            await manager.shutdown_kernel(kernel_id, now=True)


class Farewell(VoilaShutdownKernelHandler):
    """Ends the kernel whose id a page posts when it is closed.

    No other check is made against requests that another site forges, for it can't know the id, 122 random bits.
    """

    def check_xsrf_cookie(self) -> None:
        pass

    @authenticated
    async def post(self, kernel_id: str) -> None:
        if kernel_id in self.kernel_manager:  # it may have been told twice
            await self.kernel_manager.shutdown_kernel(kernel_id, now=True)  # a reloaded page needs its place at once
        self.set_status(204)


class MeasuredConnection(ZMQChannelsWebsocketConnection):
    """A page's connection to its kernel; one that sends more than a hand can is closed."""

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Pass a message on to the kernel, unless there were too many."""
        if not hasattr(self, "rate"):
            self.rate = Rate()
        if self.rate.allows(len(incoming_msg)):
            super().handle_incoming_message(incoming_msg)
        else:
            self.websocket_handler.close(TOO_MUCH, "too many messages: reload the page")


class Rate:
    """Counts messages and their bytes over the last WINDOW seconds."""

    def __init__(self) -> None:
        self.seen: deque[tuple[float, int]] = deque()
        self.bytes = 0

    def allows(self, size: int) -> bool:
        """Whether one more of so many bytes is within the limits; it is counted if it is."""
        now = time.monotonic()
        while self.seen and now - self.seen[0][0] > WINDOW:
            self.bytes -= self.seen.popleft()[1]
        if len(self.seen) >= MOST_MESSAGES or self.bytes + size > MOST_BYTES:
            return False
        self.seen.append((now, size))
        self.bytes += size
        return True

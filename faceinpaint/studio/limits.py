"""How much the studio's visitors may ask of its server: how many they are, and how much each one sends."""

from __future__ import annotations

import time
from collections import deque

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

MOST_VISITORS = 8  # at a time; each has a kernel, which takes up to 2 GB
WINDOW = 10.0  # seconds in which the next two are counted
MOST_MESSAGES = 1000  # somebody who draws sends a few in a second
MOST_BYTES = 256_000_000
TOO_MUCH = 1008  # the WebSocket's code of a policy that was violated


class FewVisitors(AsyncMappingKernelManager):
    """Kernels for MOST_VISITORS pages; who comes after them is told to wait (status 503)."""

    async def start_kernel(self, **options: object) -> str:  # ty: ignore[incompatible-mutable-override]
        if len(self) >= MOST_VISITORS:
            raise HTTPError(503, f"{MOST_VISITORS} pages of the studio are open: close one, or wait ten minutes")
        return await super().start_kernel(**options)


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

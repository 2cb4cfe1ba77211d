"""One connection of a client, with an end to its patience: whoever is silent never keeps others out.

Uvicorn bounds only the time between two requests. Here the head of the first one has to come in time as well, however
slowly it drips, and so does the reading of an answer. The time for a body is bounded in `guard.py`, which can answer.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from the connection, or from the last answer, to the end of a head
READ_SECONDS = 30.0  # in which a client takes what the socket holds back, some 64 kB
MOST = 128  # connections; one more closes the one that has waited longest for a head


class BoundedConnection(H11Protocol):
    """Close a connection without a request, or with an answer that nobody takes."""

    head: asyncio.TimerHandle | None = None
    reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for a head; make room where there are too many connections."""
        super().connection_made(transport)
        self._await_head()
        open_ones = [each for each in self.connections if not each.transport.is_closing()]
        if len(open_ones) > MOST:
            idle = [each for each in open_ones if each.head is not None]
            min(idle, key=lambda each: each.head.when()).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop("head")
        self._stop("reading")
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what has come; the head of a request ends the wait for it."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop("head")

    def on_response_complete(self) -> None:
        """Wait for the next head."""
        if not self.transport.is_closing():
            self._await_head()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not take its answer."""
        super().pause_writing()
        self.reading = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has taken some of it."""
        self._stop("reading")
        super().resume_writing()

    def _await_head(self) -> None:
        self._stop("head")
        self.head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

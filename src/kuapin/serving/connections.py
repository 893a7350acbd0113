"""Connections that hold on to nothing: who sends no request, or reads no answer, is let go."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
"""Seconds in which the head of a request has to come, from the connection or from its first byte."""
HEAD_BYTES = 65_536
"""Largest head of a request."""
READ_S = 30.0
"""Seconds in which somebody has to take what waits to be read."""


class Connection(HttpToolsProtocol):
    """uvicorn's own, with a limit on the time and the size of a head, and on the time for which an answer lies unread.

    Bodies have theirs in ``envelope.py``; an idle connection is closed by uvicorn.
    """

    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _head_bytes: int | None = None
    """Of a head that has begun."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has come."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody has left."""
        self._head_is_there()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if (self._head_bytes or 0) > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")
        if self._head is None and self.timeout_keep_alive_task is None and self._at_rest():
            self._await_head()  # an empty line, or the rest of a refused body, has ended uvicorn's wait for a request

    def _at_rest(self) -> bool:
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._head is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._head_is_there()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """What is written is not read as fast."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It is read."""
        self._is_read()
        super().resume_writing()

    def _await_head(self) -> None:
        self._head = self.loop.call_later(HEAD_S, self.transport.abort)

    def _head_is_there(self) -> None:
        self._head_bytes = None
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

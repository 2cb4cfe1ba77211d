"""What stands before every request: names of the host, foreign pages, length and pace of the body, headers."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mindrestore.serve.limits import BusyError, ForbiddenError, Limits, ServeError, SlowError
from mindrestore.serve.uploads import too_many_bytes

# All that the page needs lies on this server; blob: shows an image before it is sent.
_CONTENT = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FORM_MARGIN = 1 << 16  # bytes of a form beside the image
_DRAIN_SECONDS = 2.0


class HostNames:
    """Know under which names this server may be asked for: a foreign name that leads here is DNS rebinding.

    Args:
        host: Address that the server listens on.
        more: Further names.
    """

    def __init__(self, host: str, more: Iterable[str] = ()) -> None:
        self.loopback = is_loopback(host)
        self._names = {"localhost", host.lower(), *(name.lower() for name in more)}

    def allow(self, header: str) -> bool:
        """Return whether a Host header names this server; addresses are not names, and cannot be rebound."""
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return address.is_loopback or not self.loopback


def is_loopback(host: str) -> bool:
    """Return whether an address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse(error: ServeError) -> JSONResponse:
    """Make the answer that says no; the connection ends, so that nothing has to be read of what still comes."""
    retry = {"Retry-After": "10"} if error.status == 503 else {}
    return JSONResponse({"error": str(error), "kind": error.kind}, error.status, {"Connection": "close", **retry})


class Arrival:
    """Count what arrives of a request and how long it takes: it need not say how long it is, and may drip.

    Args:
        receive: Gives the next part.
        limits: Longest image, slowest client.

    Attributes:
        complete: Whether all of it has arrived.
    """

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._bytes, self._seconds = 0, 0.0
        self.complete = False

    async def receive(self) -> Message:
        """Return the next part; after the last one, wait until the client goes away.

        Raises:
            TooLargeError: More came than an image may have.
            SlowError: Nothing comes, or too slowly.
        """
        if self.complete:
            return await self._receive()
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), self._limits.silence)
        except asyncio.TimeoutError:
            raise SlowError(f"nothing came for {self._limits.silence:g} s; send the request again") from None
        self._bytes += len(message.get("body", b""))
        self._seconds += time.monotonic() - began
        self.complete = not message.get("more_body", False)
        if self._bytes > self._limits.max_bytes + _FORM_MARGIN:
            raise too_many_bytes("the request", self._limits)
        if not self.complete and self._seconds > self._limits.silence + self._bytes / self._limits.least_rate:
            raise SlowError(f"{self._bytes:,} bytes in {self._seconds:.0f} s are too slow; send the request again")
        return message

    async def drain(self) -> None:
        """Take what a client still sends behind a refusal, for a moment: else the system breaks the connection, and
        the client never reads why."""
        end = time.monotonic() + _DRAIN_SECONDS
        with suppress(asyncio.TimeoutError):
            while not self.complete and time.monotonic() < end:
                message = await asyncio.wait_for(self._receive(), end - time.monotonic())
                self.complete = not message.get("more_body", False)


class Guard:
    """Refuse what no honest client sends and what is too much at a time, and add the headers of every answer.

    Args:
        app: The application behind it.
        hosts: Names that are allowed.
        limits: Longest image, most requests at a time, slowest client.
        root_path: Path below which a proxy shows this server, such as `/photos`; the proxy may take it off or leave it.
    """

    def __init__(self, app: ASGIApp, hosts: HostNames, limits: Limits, root_path: str = "") -> None:
        self.app, self.hosts, self.limits, self.root_path = app, hosts, limits, root_path
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        arrival, refused = Arrival(receive, self.limits), False

        async def send_with_headers(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] >= 400 and message["status"] != SlowError.status  # which would not end
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            elif refused and not message.get("more_body", False) and not arrival.complete:
                await send({**message, "more_body": True})
                await arrival.drain()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        self._answering += 1
        try:
            refusal = self._refusal(scope)
            if refusal:
                await refuse(refusal)(scope, arrival.receive, send_with_headers)
            else:
                await self._below_root(scope, arrival.receive, send_with_headers)
        finally:
            self._answering -= 1

    async def _below_root(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the path of the proxy off, where it is still there."""
        root, path = self.root_path, scope["path"]
        if root and path == root:  # addresses of the page are relative to a folder
            await RedirectResponse(f"{root}/")(scope, receive, send)
            return
        if root and path.startswith(f"{root}/"):
            scope = {**scope, "path": path[len(root) :]}
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ServeError | None:
        try:
            self._check(scope["method"], Headers(scope=scope))
        except ServeError as error:
            return error
        return None

    def _check(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self.hosts.allow(host):
            raise ForbiddenError(
                f"this server is not called {host!r}; use its address, or start it with --allow-host and this name"
            )
        if method not in ("GET", "HEAD"):
            origin, site = headers.get("origin"), headers.get("sec-fetch-site")
            own = (None, f"http://{host}", f"https://{host}")  # https: behind a proxy
            if origin not in own or site in ("cross-site", "same-site"):
                raise ForbiddenError(f"requests from other pages are refused ({origin or site})")
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise ServeError(f"Content-Length {length!r} is not a number of bytes")
        if int(length) > self.limits.max_bytes + _FORM_MARGIN:
            raise too_many_bytes("the request", self.limits)
        if self._answering > self.limits.max_requests:
            raise BusyError(f"{self.limits.max_requests} requests are in progress, the maximum; try again soon")

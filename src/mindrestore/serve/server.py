"""Run the server: a socket, a folder for files, the process of the networks, and an end that leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import uvicorn

from mindrestore.serve.app import create_app
from mindrestore.serve.connections import BoundedConnection
from mindrestore.serve.guard import HostNames, is_loopback
from mindrestore.serve.limits import Limits, ServeError
from mindrestore.serve.queue import JobQueue
from mindrestore.serve.worker import NetworkProcess

USUAL_PORT = 8765
_PATIENCE = 3  # seconds for requests in progress when the server ends
_ORIGINS = {
    "shipped": "ships with MindRestore",
    "research": "ships with MindRestore, not for every use",
    "run": "trained in {name}",
    "own": "your weights",
}
_NOT_OFFERED = "not offered, as MindRestore includes no weights for it; with your own: --weights {task}=FILE"


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        weights: Run folders, `TASK=FILE` or `NETWORK=FILE`, as for `find_offers`.
        host: Address to listen on.
        port: Port; None takes the usual one, or any free one where that is taken.
        allow_network: Whether other machines may reach the server; needed for a host that is not loopback.
        names: Further names of the server, for the check of the Host header.
        limits: What the server takes on.
        options: Keywords of `Restorer`.
        root_path: Path below which a proxy shows the server, such as `/photos`.
    """

    weights: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int | None = None
    allow_network: bool = False
    names: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    options: Mapping[str, Any] = field(default_factory=dict)
    root_path: str = ""


def serve(settings: Settings, say: Callable[[str], None] = print) -> None:
    """Serve until Ctrl-C or SIGTERM; temporary files are gone then.

    Args:
        settings: How to serve.
        say: Takes the lines for the user.

    Raises:
        ServeError: The address cannot be used, or there are no weights.
        WorkerError: The process of the networks does not start.
    """
    if not is_loopback(settings.host) and not settings.allow_network:
        raise ServeError(
            f"--host {settings.host} lets other machines in, and nobody is asked for a password; add --allow-network "
            "if you mean it, or leave --host out"
        )
    listening = _listen(settings.host, settings.port)
    process = NetworkProcess(settings.weights, settings.options)
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    try:
        with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="mindrestore-serve-") as folder:
            _run(settings, listening, process, Path(folder), say)
        say("ended; temporary files are removed")
    finally:
        signal.signal(signal.SIGTERM, former)
        process.kill()
        listening.close()


def _run(
    settings: Settings, listening: socket.socket, process: NetworkProcess, folder: Path, say: Callable[[str], None]
) -> None:
    tasks = process.start()
    files = folder / "jobs"
    files.mkdir()
    queue = JobQueue(process.restore, files, settings.limits, abort=process.kill)
    hosts = HostNames(settings.host, [socket.gethostname(), *settings.names])
    app = create_app(queue, tasks, hosts, lambda: server.should_exit, settings.root_path)
    quiet = {"log_level": "error", "access_log": False, "server_header": False}
    bounds = {"timeout_graceful_shutdown": _PATIENCE, "http": BoundedConnection, "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(app, **quiet, **bounds))
    for entry in tasks:
        names = "; ".join(
            f"{offer['title']}, {_ORIGINS[offer['origin']].format(**offer)}" for offer in entry["networks"]
        )
        say(f"{entry['task']}: {names or _NOT_OFFERED.format(**entry)}")
    if not is_loopback(settings.host):
        say(f"warning: every machine that reaches {settings.host} can use this server; there is no password")
    if settings.root_path:
        say(f"a proxy shows it below {settings.root_path}/")
    say(f"MindRestore serves {_address(listening)} until Ctrl-C")
    server.run(sockets=[listening])


def _listen(host: str, port: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in (USUAL_PORT, 0) if port is None else (port,):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(128)
        except (OSError, OverflowError) as error:
            listening.close()
            problem = error
        else:
            return listening
    raise ServeError(
        f"{host}:{port or USUAL_PORT}: cannot listen there ({getattr(problem, 'strerror', None) or problem}); choose "
        "another --port or --host"
    ) from problem


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

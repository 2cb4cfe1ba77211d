"""Read the rank table of an Ascend cluster: which rank runs on which device of which server."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrestore.errors import MindRestoreError
from mindrestore.files import read_json

_VERSIONS = ("1.0", "1.2")
_HINT = "hccl_tools.py of MindSpore's models, or the cluster's scheduler, writes such a file"


class RankTableError(MindRestoreError):
    """Report a rank table that cannot be used."""


@dataclass(frozen=True)
class RankedDevice:
    """A rank its device, counted per server."""

    rank: int
    device: int


@dataclass(frozen=True)
class Server:
    """List the devices of one machine in the order of their ranks."""

    name: str
    devices: tuple[RankedDevice, ...]


@dataclass(frozen=True)
class RankTable:
    """A checked rank table.

    Attributes:
        path: the file.
        servers: in the order of the file, which is that of the node ranks.
    """

    path: Path
    servers: tuple[Server, ...]

    @property
    def size(self) -> int:
        """Number of ranks."""
        return sum(len(server.devices) for server in self.servers)


def read_rank_table(path: str | os.PathLike[str]) -> RankTable:
    """Read and check a rank table (version 1.0, as HCCL reads it).

    Args:
        path: JSON file.

    Returns:
        The servers with ranks 0 to N-1, each on a device of its own.

    Raises:
        RankTableError: the file is absent, no JSON, incomplete, or contradicts itself; the message names the entry.
    """
    path = Path(path).absolute()
    try:
        content = read_json(path)
    except OSError as error:
        raise RankTableError(f"{path}: rank table cannot be read ({error.strerror}); use an existing file") from error
    except ValueError as error:
        raise RankTableError(f"{path}: no JSON ({error}); {_HINT}") from error
    problem = _problem(content)
    if problem:
        raise RankTableError(f"{path}: {problem}; {_HINT}")
    servers = tuple(_server(entry) for entry in content["server_list"])
    ranks = sorted(device.rank for server in servers for device in server.devices)
    if ranks != list(range(len(ranks))):
        raise RankTableError(f"{path}: its rank_id are {_brief(ranks)}, not 0 to {len(ranks) - 1} once each; {_HINT}")
    return RankTable(path, servers)


def _problem(content: Any) -> str:
    """Name what is wrong with the content, apart from the ranks as a whole; empty when nothing is."""
    if not isinstance(content, Mapping):
        return "not a JSON object"
    if str(content.get("version")) not in _VERSIONS:
        return f"version is {content.get('version')!r}, not {' or '.join(_VERSIONS)}"
    if content.get("status", "completed") != "completed":
        return f"status is {content['status']!r}, so the table is not complete yet; wait for 'completed'"
    servers = content.get("server_list")
    if not isinstance(servers, Sequence) or isinstance(servers, str) or not servers:
        return "server_list is absent or empty"
    if str(content.get("server_count", len(servers))) != str(len(servers)):
        return f"server_count is {content['server_count']!r}, but server_list has {len(servers)}"
    problems = (_server_problem(f"server_list[{number}]", server) for number, server in enumerate(servers))
    return next((problem for problem in problems if problem), "") or _repeated(
        "server_id", [server["server_id"] for server in servers]
    )


def _server_problem(place: str, server: Any) -> str:
    if not isinstance(server, Mapping) or not isinstance(server.get("server_id"), str):
        return f"{place} has no server_id"
    devices = server.get("device")
    if not isinstance(devices, Sequence) or isinstance(devices, str) or not devices:
        return f"{place} has no device"
    for number, device in enumerate(devices):
        entry = f"{place}.device[{number}]"
        if not isinstance(device, Mapping):
            return f"{entry} is not a JSON object"
        for key in ("device_id", "rank_id"):
            if not str(device.get(key, "")).isdecimal():
                return f"{entry}.{key} is {device.get(key)!r}, not a number from 0"
        address = device.get("device_ip", "")
        if address and not _is_address(address):
            return f"{entry}.device_ip is {address!r}, not an IP address"
    return _repeated(f"device_id of {place}", [str(device["device_id"]) for device in devices]) or _repeated(
        f"device_ip of {place}", [device["device_ip"] for device in devices if device.get("device_ip")]
    )


def _repeated(what: str, values: Sequence[str]) -> str:
    twice = next((value for value in values if values.count(value) > 1), None)
    return "" if twice is None else f"{what} {twice!r} is there more than once"


def _is_address(text: Any) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _server(entry: Mapping[str, Any]) -> Server:
    devices = [RankedDevice(int(device["rank_id"]), int(device["device_id"])) for device in entry["device"]]
    return Server(entry["server_id"], tuple(sorted(devices, key=lambda device: device.rank)))


def _brief(ranks: Sequence[int]) -> str:
    return ", ".join(map(str, ranks[:10])) + (", ..." if len(ranks) > 10 else "")

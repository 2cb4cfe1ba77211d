"""The server of these tests; without the extra `serve` they are left out."""

from __future__ import annotations

from importlib.util import find_spec

if all(find_spec(name) for name in ("starlette", "uvicorn", "python_multipart")):
    from served import server, shared_server  # noqa: F401, fixtures
else:
    collect_ignore_glob = ["*.py"]

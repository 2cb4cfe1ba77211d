"""The HTTP interface: a page, a queue of jobs, and one call that waits for its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mindrestore import __version__
from mindrestore.serve.assets import load_assets
from mindrestore.serve.guard import Guard, HostNames
from mindrestore.serve.jobs import FAILED, WORKING, Job, JobQueue
from mindrestore.serve.limits import (
    QueueFullError,
    ServeError,
    UnknownJobError,
    UnrestoredError,
    UnsupportedTypeError,
)
from mindrestore.serve.uploads import MEDIA_TYPES, inspect_upload

_GLANCE = 0.1  # seconds between two looks at a job that a client waits for
_PREVIEWS = ("before", "after")


class Service:
    """Answer requests.

    Args:
        queue: The queue of jobs.
        tasks: For every task its name and its networks, as `NetworkProcess.start` gives them.
        stopping: Tells whether the server is ending.
    """

    def __init__(
        self, queue: JobQueue, tasks: Sequence[Mapping[str, Any]], stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.queue, self.tasks, self.stopping = queue, tasks, stopping
        self.assets = load_assets()

    def routes(self) -> list[Route]:
        """List the addresses."""
        return [
            Route("/", self.page),
            Route("/static/{name}", self.asset),
            Route("/api/status", self.status),
            Route("/api/jobs", self.submit, methods=["POST"]),
            Route("/api/jobs/{token}", self.job),
            Route("/api/jobs/{token}", self.delete, methods=["DELETE"]),
            Route("/api/jobs/{token}/result", self.result),
            Route("/api/jobs/{token}/{preview}", self.preview),
            Route("/api/restore", self.restore, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Return the page."""
        content, media_type = self.assets["index.html"]
        return Response(content, media_type=media_type)

    async def asset(self, request: Request) -> Response:
        """Return a script, a style sheet or the icon; the name is looked up in a table, never on the disk."""
        name = request.path_params["name"]
        if name not in self.assets:
            raise HTTPException(404)
        content, media_type = self.assets[name]
        return Response(content, media_type=media_type)

    async def status(self, request: Request) -> Response:
        """Return what this server offers, what it takes, and how much it has to do."""
        limits = self.queue.limits
        bounds = {name: getattr(limits, name) for name in ("max_bytes", "max_pixels", "max_waiting", "keep_seconds")}
        return JSONResponse(
            {"version": __version__, "tasks": list(self.tasks), "limits": bounds, "queue": self.queue.counts()}
        )

    async def submit(self, request: Request) -> Response:
        """Take an image into the queue."""
        job = await self._take(request)
        return JSONResponse(self.describe(job), 202, {"Location": f"/api/jobs/{job.token}"})

    async def job(self, request: Request) -> Response:
        """Return how far a job is."""
        return JSONResponse(self.describe(self.queue.find(request.path_params["token"])))

    async def delete(self, request: Request) -> Response:
        """Forget a job and its files, or break it off."""
        await run_in_threadpool(self.queue.delete, request.path_params["token"])
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        """Return the restored image in full size and in the type of the original."""
        return self._result(self.queue.finished(request.path_params["token"]))

    async def preview(self, request: Request) -> Response:
        """Return a small copy of the image or of the result, for the screen."""
        job, which = self.queue.finished(request.path_params["token"]), request.path_params["preview"]
        if which not in _PREVIEWS:
            raise HTTPException(404)
        return FileResponse(job.folder / job.facts[which])

    async def restore(self, request: Request) -> Response:
        """Restore an image and answer with the result."""
        job = await self._take(request)
        try:
            while not job.over:
                if self.stopping():
                    raise QueueFullError("the server is ending; try again later")
                if await request.is_disconnected():
                    raise ClientDisconnect
                await asyncio.sleep(_GLANCE)
            if job.state == FAILED:
                return JSONResponse({"error": job.error}, job.status)
            content = await run_in_threadpool(job.target.read_bytes)
            return Response(content, headers=self._attachment(job), media_type=MEDIA_TYPES[job.target.suffix])
        finally:
            await run_in_threadpool(self._forget, job)

    def describe(self, job: Job) -> dict[str, Any]:
        """Describe a job for clients."""
        told = {"id": job.token, "state": job.state, "position": self.queue.position(job), "name": job.upload.name}
        told |= {"network": job.network, "error": job.error, "result": None}
        told |= {"phase": job.phase, "share": job.share} if job.state == WORKING else {"phase": None, "share": None}
        if job.over and job.state != FAILED:
            facts = {name: value for name, value in job.facts.items() if name not in _PREVIEWS}
            told["result"] = {**facts, "name": job.upload.result_name, "type": MEDIA_TYPES[job.target.suffix]}
        return told

    async def _take(self, request: Request) -> Job:
        """Read a form with an image and a choice of network."""
        self.queue.refuse_when_full()  # before the image is read
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "multipart/form-data":
            raise UnsupportedTypeError("send a form (multipart/form-data) with the fields image and task")
        async with request.form(max_files=1, max_fields=4) as form:
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise ServeError("the form has no file in its field image; send one")
            network = self._network(form.get("task"), form.get("network"))
            upload = await run_in_threadpool(inspect_upload, image.file, image.filename, self.queue.limits)
            return await run_in_threadpool(self.queue.submit, upload, network)

    def _network(self, task: Any, network: Any) -> str:
        """Choose a network by its key, else the first for a task."""
        offered = {entry["task"]: [offer["key"] for offer in entry["networks"]] for entry in self.tasks}
        if network:
            if network not in [key for keys in offered.values() for key in keys]:
                raise UnrestoredError(f"no network {str(network)[:80]!r} here; see /api/status for those on offer")
            return network
        if task not in offered:
            known = ", ".join(offered)
            raise UnrestoredError(f"unknown task {str(task)[:80]!r}; the field task is one of {known}")
        if not offered[task]:
            raise UnrestoredError(f"no weights for {task} here; start the server with --weights {task}=FILE")
        return offered[task][0]

    def _result(self, job: Job) -> Response:
        return FileResponse(job.target, media_type=MEDIA_TYPES[job.target.suffix], filename=job.upload.result_name)

    def _attachment(self, job: Job) -> dict[str, str]:
        return {"Content-Disposition": self._result(job).headers["content-disposition"]}

    def _forget(self, job: Job) -> None:
        try:
            self.queue.delete(job.token)
        except UnknownJobError:  # it expired, or the server has removed everything
            return


def create_app(
    queue: JobQueue,
    tasks: Sequence[Mapping[str, Any]],
    hosts: HostNames,
    stopping: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """Make the application; it starts the queue and closes it.

    Args:
        queue: A queue that is not started.
        tasks: For every task its name and its networks.
        hosts: Names under which the server may be asked for.
        stopping: Tells whether the server is ending.

    Returns:
        An ASGI application.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        queue.start()
        try:
            yield
        finally:
            await run_in_threadpool(queue.close)

    service = Starlette(
        routes=Service(queue, tasks, stopping).routes(),
        exception_handlers={
            ServeError: _refuse,
            HTTPException: _refuse,
            ClientDisconnect: _refuse,
            Exception: _defect,
        },
        lifespan=lifespan,
    )
    service.router.redirect_slashes = False  # an address is right or wrong
    return Guard(service, hosts, queue.limits)  # outermost, so that answers about defects have its headers, too


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        headers = {**(error.headers or {})}
        return JSONResponse({"error": f"{request.url.path}: {error.detail}"}, error.status_code, headers)
    status = getattr(error, "status", 400)
    headers = {"Retry-After": "10"} if status == 503 else {}
    return JSONResponse({"error": str(error) or "the client went away"}, status, headers)


async def _defect(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "an internal error; the terminal of the server shows it"}, 500)

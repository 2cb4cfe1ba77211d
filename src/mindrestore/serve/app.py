"""The HTTP interface: a page, a queue of jobs, and one call that waits for its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from mindrestore.serve.archive import stream_zip
from mindrestore.serve.assets import load_assets, load_description
from mindrestore.serve.guard import Guard, HostNames, refuse
from mindrestore.serve.jobs import CANCELLED, DONE, FAILED, WORKING, Job
from mindrestore.serve.limits import (
    BusyError,
    ServeError,
    UnfinishedError,
    UnknownJobError,
    UnrestoredError,
    UnsupportedTypeError,
    storage_error,
)
from mindrestore.serve.queue import JobQueue
from mindrestore.serve.uploads import MEDIA_TYPES, inspect_upload
from mindrestore.version import __version__

_GLANCE = 0.1  # seconds between two looks at a job that a client waits for
_PREVIEWS = ("before", "after")
_MOST_STEPS = 4  # networks that restore one image, one after the other
_BOUNDS = ("max_bytes", "max_pixels", "max_waiting", "keep_seconds", "max_kept")


class Service:
    """Answer requests.

    Args:
        queue: The queue of jobs.
        tasks: For every task its name and its networks, as `NetworkProcess.start` gives them.
        stopping: Tells whether the server is shutting down.
    """

    def __init__(
        self, queue: JobQueue, tasks: Sequence[Mapping[str, Any]], stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.queue, self.tasks, self.stopping = queue, tasks, stopping
        self.assets, self.description = load_assets(), load_description()

    def routes(self) -> list[Route]:
        """List the addresses."""
        return [
            Route("/", self.page),
            Route("/static/{name}", self.asset),
            Route("/openapi.json", self.openapi),
            Route("/api/status", self.status),
            Route("/api/jobs", self.jobs),
            Route("/api/jobs", self.submit, methods=["POST"]),
            Route("/api/jobs/{token}", self.job),
            Route("/api/jobs/{token}", self.delete, methods=["DELETE"]),
            Route("/api/jobs/{token}/cancel", self.cancel, methods=["POST"]),
            Route("/api/jobs/{token}/retry", self.retry, methods=["POST"]),
            Route("/api/jobs/{token}/result", self.result),
            Route("/api/jobs/{token}/thumbnail", self.thumbnail),
            Route("/api/jobs/{token}/{preview}", self.preview),
            Route("/api/archive", self.archive),
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

    async def openapi(self, request: Request) -> Response:
        """Return the description of this interface for programs."""
        return JSONResponse(self.description)

    async def status(self, request: Request) -> Response:
        """Return what this server offers, what it takes, and how much it has to do."""
        bounds = {name: getattr(self.queue.limits, name) for name in _BOUNDS}
        return JSONResponse(
            {"version": __version__, "tasks": list(self.tasks), "limits": bounds, "queue": self.queue.counts()}
        )

    async def jobs(self, request: Request) -> Response:
        """Return how far the jobs are that are asked for; those that are gone are left out."""
        return JSONResponse({"jobs": [self.describe(job) for job in self._known(request)]})

    async def submit(self, request: Request) -> Response:
        """Take an image into the queue."""
        job = await self._take(request)
        # relative, as a proxy may show this server below any path
        return JSONResponse(self.describe(job), 202, {"Location": f"jobs/{job.token}"})

    async def job(self, request: Request) -> Response:
        """Return how far a job is."""
        return JSONResponse(self.describe(self.queue.find(request.path_params["token"])))

    async def delete(self, request: Request) -> Response:
        """Forget a job and its files, or break it off."""
        await run_in_threadpool(self.queue.delete, request.path_params["token"])
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        """Break a job off; it can be tried again."""
        return JSONResponse(self.describe(await run_in_threadpool(self.queue.cancel, request.path_params["token"])))

    async def retry(self, request: Request) -> Response:
        """Put a job that failed or was cancelled into the queue again."""
        job = await run_in_threadpool(self.queue.retry, request.path_params["token"])
        return JSONResponse(self.describe(job), 202)

    async def result(self, request: Request) -> Response:
        """Return the restored image in full size and in the type of the original."""
        return self._result(self.queue.finished(request.path_params["token"]))

    async def preview(self, request: Request) -> Response:
        """Return a small copy of the image or of the result, for the screen."""
        job, which = self.queue.finished(request.path_params["token"]), request.path_params["preview"]
        if which not in _PREVIEWS:
            raise HTTPException(404)
        return _file(job.folder / job.facts[which])

    async def thumbnail(self, request: Request) -> Response:
        """Return a small picture for lists: of the image, then of the result."""
        path = self.queue.find(request.path_params["token"]).thumbnail
        if path is None:
            raise UnfinishedError("there is no thumbnail so far; the image has not been read")
        return _file(path)

    async def archive(self, request: Request) -> Response:
        """Return the results of several jobs as one zip file."""
        done = [job for job in self._known(request) if job.state == DONE]
        if not done:
            raise UnknownJobError("none of these jobs has a result; name the ids of some that are done")
        pieces = await run_in_threadpool(stream_zip, [(job.upload.result_name, job.target) for job in done])
        headers = {"Content-Disposition": 'attachment; filename="restored.zip"'}
        return StreamingResponse(pieces, headers=headers, media_type="application/zip")

    async def restore(self, request: Request) -> Response:
        """Restore an image and answer with the result."""
        job = await self._take(request)
        try:
            while not job.over:
                if self.stopping():
                    raise BusyError("the server is shutting down; try again later")
                if await request.is_disconnected():
                    raise ClientDisconnect
                await asyncio.sleep(_GLANCE)
            if job.state == FAILED:
                return JSONResponse({"error": job.error, "kind": job.kind}, job.status)
            if job.state == CANCELLED:
                raise UnknownJobError("the job was cancelled")
            content = await run_in_threadpool(job.target.read_bytes)
            return Response(content, headers=self._attachment(job), media_type=MEDIA_TYPES[job.target.suffix])
        finally:
            await run_in_threadpool(self._forget, job)

    def describe(self, job: Job) -> dict[str, Any]:
        """Describe a job for clients."""
        told = {"id": job.token, "state": job.state, "position": self.queue.position(job), "name": job.upload.name}
        told |= {"networks": list(job.networks), "error": job.error, "kind": job.kind, "result": None}
        told |= {"width": job.upload.width, "height": job.upload.height, "thumbnail": job.thumbnail is not None}
        told |= {"phase": job.phase, "share": job.share} if job.state == WORKING else {"phase": None, "share": None}
        told |= {"seconds_left": self.queue.seconds_left(job), "expires_in": self.queue.expires_in(job)}
        if job.state == DONE:
            facts = {name: value for name, value in job.facts.items() if name not in _PREVIEWS}
            told["result"] = {**facts, "name": job.upload.result_name, "type": MEDIA_TYPES[job.target.suffix]}
        return told

    def _known(self, request: Request) -> list[Job]:
        """Find the jobs that a request names, each once."""
        found = []
        for token in dict.fromkeys(request.query_params.getlist("id")):
            with suppress(UnknownJobError):
                found.append(self.queue.find(token))
        return found

    async def _take(self, request: Request) -> Job:
        """Read a form with an image and a choice of networks."""
        with self.queue.arriving():  # refuses before the image is read
            if request.headers.get("content-type", "").split(";")[0].strip().lower() != "multipart/form-data":
                raise UnsupportedTypeError("send a form (multipart/form-data) with the fields image and task")
            async with request.form(max_files=1, max_fields=2 * _MOST_STEPS) as form:
                image = form.get("image")
                if not isinstance(image, UploadFile):
                    raise ServeError("the form has no file in its field image; send one")
                networks = self._networks(form)
                upload = await run_in_threadpool(inspect_upload, image.file, image.filename, self.queue.limits)
                return await run_in_threadpool(self.queue.submit, upload, networks)

    def _networks(self, form: FormData) -> list[str]:
        """Choose networks by their keys, else the first for every task, in the order in which they are given."""
        offered = {entry["task"]: [offer["key"] for offer in entry["networks"]] for entry in self.tasks}
        known = [key for keys in offered.values() for key in keys]
        networks = [network for network in form.getlist("network") if network]
        if not networks:
            networks = [self._first_network(task, offered) for task in form.getlist("task") or [None]]
        for network in networks:
            if network not in known:
                raise UnrestoredError(f"no network {str(network)[:80]!r} here; see /api/status for those on offer")
        if len(networks) > _MOST_STEPS:
            raise UnrestoredError(f"{len(networks)} networks for one image; at most {_MOST_STEPS} follow each other")
        return networks

    def _first_network(self, task: Any, offered: Mapping[str, Sequence[str]]) -> str:
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
    root_path: str = "",
) -> ASGIApp:
    """Make the application; it starts the queue and closes it.

    Args:
        queue: A queue that is not started.
        tasks: For every task its name and its networks.
        hosts: Names under which the server may be asked for.
        stopping: Tells whether the server is shutting down.
        root_path: Path below which a proxy shows it, such as `/photos`.

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
            OSError: _refuse,
            HTTPException: _refuse,
            ClientDisconnect: _refuse,
            Exception: _defect,
        },
        lifespan=lifespan,
    )
    service.router.redirect_slashes = False  # an address is right or wrong
    # outermost, so that answers about defects have its headers, too
    return Guard(service, hosts, queue.limits, root_path)


def _file(path: Path) -> Response:
    if not path.is_file():
        raise UnknownJobError("the picture is gone from the temporary folder of the server; restore the image again")
    return FileResponse(path)


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        kind = {400: "bad_request", 404: "not_found", 405: "wrong_method"}.get(error.status_code, "bad_request")
        told = {"error": f"{request.url.path}: {error.detail}", "kind": kind}
        return JSONResponse(told, error.status_code, {**(error.headers or {})})
    if isinstance(error, ServeError):
        return refuse(error)
    return refuse(storage_error(error) if isinstance(error, OSError) else ServeError("the client went away"))


async def _defect(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "an internal error; the terminal of the server shows it", "kind": "defect"}, 500)

"""Forms with files, bounded while they are read: numbers of files, the size of each, and room on the disk."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import IO, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive

from facerec_models.errors import InputError, LimitExceededError
from facerec_models.files import UNFINISHED, writing_to
from serving.archive.room import require_room
from serving.settings import Settings

_MOST_FIELDS = 20
# After so much of an upload the disk is asked again.
_ROOM_PERIOD_BYTES = 64 * 2**20

Bound = Callable[[Settings], tuple[int, int, str]]


def of_pictures(settings: Settings) -> tuple[int, int, str]:
    """Return how many pictures may be sent together, how large each may be, and which setting says so."""
    limits = settings.analysis.limits
    return limits.max_pictures_per_request, limits.max_picture_bytes, "limits.max_picture_bytes"


def of_a_table(settings: Settings) -> tuple[int, int, str]:
    """Return the same of tables."""
    return 1, settings.ingress.max_table_bytes, "ingress.max_table_bytes"


def of_a_video(settings: Settings) -> tuple[int, int, str]:
    """Return the same of videos."""
    return 1, settings.analysis.limits.max_upload_bytes, "limits.max_upload_bytes"


class _Form(MultiPartParser):
    """A form whose files are bounded; they go where `make_file` says."""

    def __init__(self, request: Request, bound: Bound, make_file: Callable[[], IO[bytes]] | None = None) -> None:
        self._settings: Settings = request.app.state.service.settings
        count, self._most, self._limit = bound(self._settings)
        super().__init__(request.headers, request.stream(), max_files=count, max_fields=_MOST_FIELDS)
        self._make_file = make_file
        self._size = self._since_asked = 0

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        self._size = 0
        upload = self._current_part.file
        if upload is not None and self._make_file is not None:
            upload.file.close()
            upload.file = self._make_file()  # type: ignore[assignment]
            self._files_to_close_on_error.append(upload.file)  # type: ignore[arg-type]

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        upload = self._current_part.file
        if upload is not None:
            self._size += end - start
            self._since_asked += end - start
            if self._size > self._most:
                raise LimitExceededError(f"{upload.filename!r} is larger than {self._limit} = {self._most}: send less")
            if self._since_asked > _ROOM_PERIOD_BYTES:
                self._since_asked = 0
                require_room(self._settings)
        super().on_part_data(data, start, end)


@asynccontextmanager
async def video_form(request: Request, folder: Path) -> AsyncIterator[FormData]:
    """Read a form whose file is written once, below a folder, where it stays until the block ends or it has been moved away."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InputError("send the video as multipart/form-data with a 'file', or its address as application/json")
    with unfinished(folder) as place:
        async with AsyncExitStack() as stack:
            with writing_to(folder):
                form = await _parse(_Form(request, of_a_video, lambda: (place / "upload").open("w+b")))
            stack.push_async_callback(form.close)
            yield form


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Make a folder for what is not whole yet, below another one; it is removed when the block ends."""
    with writing_to(folder), ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        yield Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, suffix=UNFINISHED)))


class _BoundedRequest(Request):
    def __init__(self, scope: dict[str, Any], receive: Receive, bound: Bound) -> None:
        super().__init__(scope, receive)
        self._bound = bound

    async def _get_form(self, **_: Any) -> FormData:
        if self._form is None:
            # The other kind of form, which holds no file, would be taken apart in the event loop whatever its size.
            if not self.headers.get("content-type", "").lower().startswith("multipart/form-data"):
                raise InputError("send the form as multipart/form-data, with its file")
            require_room(self.app.state.service.settings)
            self._form = await _parse(_Form(self, self._bound))
        return self._form


def bounded_route(bound: Bound) -> type[APIRoute]:
    """Return the class of routes whose forms are bounded so."""

    class BoundedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def handler(request: Request) -> Response:
                return await answer(_BoundedRequest(dict(request.scope), request.receive, bound))

            return handler

    return BoundedRoute


async def _parse(form: _Form) -> FormData:
    try:
        return await form.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error


def content_of(upload: UploadFile) -> bytes:
    """Return the content of an upload, and let go of the file that it lies in: of many, one is in memory at a time."""
    with closing(upload.file):
        return upload.file.read()

"""A file of the server to a file here, going on where it was cut off. Whoever drives it sends and waits."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import httpx

from secondsight.client._exceptions import ClientError, IncompatibleServerError
from secondsight.client._exchange import Attempts, error_of_answer, request_of
from secondsight.client._settings import Settings

CHUNK: Final = 2**18


class Download:
    """Writes beside `path` until all is there, and then moves it there, so that half a file is never taken for one.

    The driver sends `request()`, gives the answer to `began()` and its bytes to `write()`; what breaks goes to
    `failed()`, which tells for how long to wait before the next request. It has to be entered.
    """

    def __init__(self, address: str, path: Path, settings: Settings) -> None:
        self._address = address
        self._path = path
        self._beside = path.with_name(f".{path.name}.part")
        self._settings = settings
        self._attempts = Attempts(settings.retries)
        self._etag: str | None = None
        self._written = 0
        self._file: BinaryIO

    def __enter__(self) -> Self:
        self._file = self._beside.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            self._beside.replace(self._path)
        else:
            self._beside.unlink(missing_ok=True)

    def request(self) -> httpx.Request:
        """For what is not there yet, if the file is still the same."""
        headers = {}
        if self._written and self._etag is not None:
            headers = {"Range": f"bytes={self._written}-", "If-Range": self._etag}
        return request_of("GET", self._address, self._settings, headers=headers)

    def began(self, response: httpx.Response) -> None:
        """An answer comes, whose body was read if it is an error.

        Raises:
            ClientError
        """
        error = error_of_answer(response, self._settings)
        if error is not None:
            raise error
        begin = 0
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            begin = _begin_of(response)
            if begin != self._written:
                raise IncompatibleServerError(f"the server sends byte {begin} on, not {self._written}")
        self._file.seek(begin)
        self._file.truncate()
        self._written = begin
        self._etag = response.headers.get("etag")

    def write(self, data: bytes) -> None:
        """More of it."""
        self._file.write(data)
        self._written += len(data)
        # What has come this far is worth to go on from.
        self._attempts.begin_again()

    def failed(self, error: ClientError | httpx.TransportError) -> float:
        """Seconds to wait before the next request.

        Raises:
            ClientError: trying again is of no use, or was tried often enough.
        """
        told = error if isinstance(error, ClientError) else error_of_answer(error, self._settings)
        assert told is not None
        return self._attempts.wait_after(told)


def _begin_of(response: httpx.Response) -> int:
    unit, _, told = response.headers.get("content-range", "").partition(" ")
    begin = told.partition("-")[0]
    if unit != "bytes" or not begin.isdecimal():
        raise IncompatibleServerError("the server sends a part without saying which")
    return int(begin)

"""An operator: asks over REST for pictures of frames."""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from secondsight.demo.errors import ServiceError

_TIMEOUT_S: Final = 60.0
_ATTEMPTS: Final = 30
_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """A picture of a frame: uint8 RGB, height x width x 3, and how long it took to get, milliseconds."""

    image: NDArray[np.uint8]
    took_ms: float


class Operator:
    """A REST client of one camera. Not before `async with`."""

    def __init__(self, http: str, camera_id: str) -> None:
        # The loopback needs no proxy, whatever the environment says.
        self._client = httpx.AsyncClient(
            base_url=f"http://{http}/v1/cameras/{camera_id}", timeout=_TIMEOUT_S, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def presentation_time_us(self, frame: str) -> int:
        """When the frame `frame` (SESSION-SEQUENCE) comes in its clip.

        Raises:
            ServiceError: the server does not say.
        """
        record: dict[str, Any] = (await self._get(f"/frames/{frame}", {})).json()
        return int(record["pts_us"])

    async def view(self, frame: str, view: str) -> View:
        """The `machine` or the `human` view, losslessly transferred.

        Raises:
            ServiceError: there is none to be had.
        """
        began = time.perf_counter()
        content = (await self._get(f"/frames/{frame}/image", {"view": view, "format": "png"})).content
        took_ms = (time.perf_counter() - began) * 1000
        with Image.open(io.BytesIO(content)) as image:
            return View(np.asarray(image.convert("RGB")), took_ms)

    async def _get(self, path: str, parameters: dict[str, str]) -> httpx.Response:
        problem = ""
        for _ in range(_ATTEMPTS):
            try:
                response = await self._client.get(path, params=parameters)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__} {error}"
            else:
                if response.is_success:
                    return response
                problem = f"{response.status_code} {response.text[:500]}"
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
            # Busy, or being started again.
            await asyncio.sleep(_PAUSE_S)
        raise ServiceError(f"GET {self._client.base_url}{path.lstrip('/')} was answered: {problem}")

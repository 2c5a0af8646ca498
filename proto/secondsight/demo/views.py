"""An operator: asks over REST for pictures of frames."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from secondsight.client import AsyncClient, Retries, Settings

# A server that is busy, or is being started again, is waited for.
_RETRIES: Final = Retries(attempts=30, first_wait=2.0, longest_wait=2.0)


@dataclass(frozen=True, slots=True)
class View:
    """A picture of a frame: uint8 RGB, height x width x 3, and how long it took to get, milliseconds."""

    image: NDArray[np.uint8]
    took_ms: float


class Operator:
    """Looks at one camera's frames. Not before `async with`."""

    def __init__(self, http: str, camera_id: str) -> None:
        self._client = AsyncClient(Settings(server=f"http://{http}", retries=_RETRIES))
        self._camera_id = camera_id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def presentation_time_us(self, frame: str) -> int:
        """When the frame `frame` (SESSION-SEQUENCE) comes in its clip.

        Raises:
            ClientError: the server does not say.
        """
        return (await self._client.frame(self._camera_id, frame)).pts_us

    async def view(self, frame: str, view: Literal["machine", "human"]) -> View:
        """The `machine` or the `human` view, losslessly transferred.

        Raises:
            ClientError: there is none to be had.
        """
        began = time.perf_counter()
        fetched = await self._client.view(self._camera_id, frame, view, format="png")
        took_ms = (time.perf_counter() - began) * 1000
        return View(np.asarray(fetched.picture()), took_ms)

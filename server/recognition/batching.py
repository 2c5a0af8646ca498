"""Pictures of several cameras in one call of a recogniser."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter

from server import metrics
from server.errors import WarmUpError
from server.recognition.looking import checked
from server.recognition.recogniser import Recogniser
from server.recognition.seen import Seen
from shared_models.picture import Picture

_log = logging.getLogger(__name__)

_Waiting = tuple[Picture, "asyncio.Future[Seen]"]


class Batching:
    """One lane to a recogniser. What has come while it was busy goes into its next call, up to what it takes at once.

    Nothing waits for company: a picture that finds the recogniser idle is looked at by itself. For one event loop.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._waiting: deque[_Waiting] = deque()
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="recogniser")
        self._work: asyncio.Task[None] | None = None

    async def see(self, picture: Picture) -> Seen:
        """What is in a picture; raises whatever the recogniser raises about it.

        Raises:
            InvalidRecogniserError: what the recogniser answers is nothing that can be seen.
        """
        seen: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting.append((picture, seen))
        if self._work is None:
            self._work = asyncio.create_task(self._run(), name="recogniser")
        return await seen

    async def warm_up(self) -> None:
        """Have the recogniser do at once what would make the first call slow, in its lane.

        Raises:
            WarmUpError
        """
        begun = perf_counter()
        recogniser = self._recogniser
        try:
            await asyncio.get_running_loop().run_in_executor(self._lane, recogniser.warm_up)
        except Exception as error:
            raise WarmUpError(recogniser.name, error) from error
        took = perf_counter() - begun
        _log.info("recogniser %s runs on %s, warmed up in %.2f s", recogniser.name, recogniser.device, took)

    def close(self, *, wait: bool) -> None:
        """Give the recogniser's thread back. Without `wait` it ends with the process."""
        if self._work is not None:
            self._work.cancel()
        self._lane.shutdown(wait=wait, cancel_futures=True)

    async def _run(self) -> None:
        try:
            while batch := self._next_batch():
                await self._look(batch)
        finally:
            self._work = None
            for _, seen in self._waiting:
                seen.cancel()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._recogniser.most_at_once:
            picture, seen = self._waiting.popleft()
            if not seen.done():  # else nobody waits for it any more
                batch.append((picture, seen))
        return batch

    async def _look(self, batch: list[_Waiting]) -> None:
        try:
            all_seen = await self._call([picture for picture, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0][1], error)
                return
            # One picture that it cannot bear must not cost the others theirs.
            for each in batch:
                await self._look([each])
            return
        for (_, seen), result in zip(batch, all_seen, strict=True):
            _settle(seen, result)

    async def _call(self, pictures: list[Picture]) -> list[Seen]:
        metrics.BATCH_PICTURES.observe(len(pictures))
        return await asyncio.get_running_loop().run_in_executor(self._lane, self._recognise, pictures)

    def _recognise(self, pictures: list[Picture]) -> list[Seen]:
        with metrics.RECOGNISE_SECONDS.time():
            answer = self._recogniser.recognise(pictures)
        return checked(self._recogniser, answer, len(pictures))


def _settle(waiting: asyncio.Future[Seen], outcome: Seen | Exception) -> None:
    with suppress(asyncio.InvalidStateError):  # whoever waited may have gone
        if isinstance(outcome, Exception):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

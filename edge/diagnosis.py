"""Which of camera, encoder, network and server one camera's frames wait for, from what its edge measures.

Once a second the queue of the uplink is looked at, and the last minute is judged by these rules, the first that
applies:

1. no frame was captured for five seconds and for ten frame times: the camera (``source_silent``);
2. for more than half of the looks no server had welcomed this edge: the network, or no server (``not_connected``);
3. for a fifth of the looks frames waited while the server granted at most half of the credits that it has ever granted
   on this connection: the server (``no_credits``);
4. for a fifth of the looks frames waited although it granted more: the network (``slow_answers``);
5. a twentieth of the captured frames were dropped because the encoder was busy: this machine (``encoder_slow``);
6. a live source gave less than four fifths of what it gave in its best minute: the camera (``few_frames``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from edge.metrics import DropReason, SourceState, Tally
from secondsight.trailing import MINUTE, Trailing
from secondsight.verdict import WELL, Cause, Verdict

_LOOK_EVERY_S: Final = 1.0
_LEAST_LOOKS: Final = 5
_SILENT_S: Final = 5.0
_SILENT_FRAMES: Final = 10
_AWAY_SHARE: Final = 0.5
_WAITING_SHARE: Final = 0.2
_FEW_CREDITS: Final = 0.5
_DROPPED_SHARE: Final = 0.05
_FEW_FRAMES: Final = 0.8


class Diagnosis:
    """Looks at a tally and sets its verdict.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(self, tally: Tally, clock: Callable[[], float] = time.monotonic) -> None:
        self._tally = tally
        self._clock = clock
        self._looks = Trailing(clock=clock)
        self._away = Trailing(clock=clock)
        self._for_server = Trailing(clock=clock)
        self._for_network = Trailing(clock=clock)
        self._most_credits = 0
        self._connections = 0
        self._best_minute = 0.0
        self._began = clock()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    def look(self) -> None:
        """Look once, and judge."""
        tally = self._tally
        if tally.connections != self._connections:
            self._connections, self._most_credits = tally.connections, 0
        self._most_credits = max(self._most_credits, tally.credits)
        self._looks.add()
        if not tally.connected:
            self._away.add()
        elif tally.unsent:
            few = tally.credits <= _FEW_CREDITS * self._most_credits
            (self._for_server if few else self._for_network).add()
        if self._clock() - self._began >= MINUTE:
            self._best_minute = max(self._best_minute, tally.captured_minute.per_second)
        tally.verdict = self._judge()

    def _judge(self) -> Verdict:
        tally = self._tally
        looks = self._looks.total
        silent = self._silence()
        if silent:
            return Verdict(Cause.SOURCE_SILENT, silent)
        if looks < _LEAST_LOOKS:
            return WELL
        if not tally.connected and self._away.total > _AWAY_SHARE * looks:
            return Verdict(Cause.NOT_CONNECTED, f"for {self._away.total / looks:.0%} of the last minute")
        if self._for_server.total >= _WAITING_SHARE * looks:
            return Verdict(Cause.NO_CREDITS, f"{tally.credits} of {self._most_credits} now")
        if self._for_network.total >= _WAITING_SHARE * looks:
            return Verdict(Cause.SLOW_ANSWERS, f"{tally.unsent} frames wait, {tally.under_way} are under way")
        captured = tally.captured_minute.total
        busy = tally.drops_last_minute().get(DropReason.ENCODER_SLOW, 0)
        if busy and busy >= _DROPPED_SHARE * captured:
            return Verdict(Cause.ENCODER_SLOW, f"{busy} of {captured:.0f} frames in the last minute")
        rate = tally.captured_minute.per_second
        if tally.live and rate < _FEW_FRAMES * self._best_minute:
            return Verdict(Cause.FEW_FRAMES, f"{rate:.1f} of {self._best_minute:.1f} a second")
        return WELL

    def _silence(self) -> str:
        """For how long a source has given nothing that should give frames; empty when that is short."""
        tally = self._tally
        if tally.source is SourceState.ENDED:
            return ""
        waited = self._clock() - (self._began if tally.last_captured is None else tally.last_captured)
        frame_time = 1 / self._best_minute if self._best_minute else 0.0
        # What holds its source back is not given frames for other reasons.
        if waited < max(_SILENT_S, _SILENT_FRAMES * frame_time) or not (tally.live or tally.captured == 0):
            return ""
        return f"nothing for {waited:.0f} s, {tally.source}"

"""Which frames are encoded and at which level, so that a camera's bits fit its uplink and its day.

Two loops. The fast one is a leaky bucket: every coded frame pours its bits in, the allowed rate lets them out, and a
frame is taken while there is room. Frames in which little is new find less room than others, so that they are the
first to be left out (a token bucket with thresholds by priority, as for drop precedence in RFC 2697/2698). The slow
one chooses the level: the highest whose forecast rate fits, with a margin between going up and going down, and with
times between two changes that grow when a step up had to be taken back. The bucket corrects what the forecast
misses.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from edge.config import RateConfig
from edge.metrics import DropReason, RateReport
from edge.spending import Clock, Spending

_KBIT: Final = 1000.0
_MB: Final = 10**6


@dataclass(frozen=True, slots=True)
class Levels:
    """What to encode a frame at: level of the machine layer and of the human view."""

    machine: int
    human: int


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to encode one frame.

    Attributes:
        step: place of `levels` in the ladder.
        key_frame: the level has risen: only a key frame shows it where nothing moves.
        expected_bits: that the bucket has set aside for it.
    """

    levels: Levels
    step: int
    key_frame: bool
    expected_bits: float


def ladder(machine: range, human: range, both: bool) -> tuple[Levels, ...]:
    """The pairs of levels to choose from, cheapest first.

    Args:
        machine, human: levels from the least to the highest that is allowed.
        both: both layers cost bits, so that both levels rise together; otherwise the human view stays at its highest.
    """
    count = max(len(machine), len(human)) if both else len(machine)

    def spread(levels: range, step: int) -> int:
        return levels[round(step * (len(levels) - 1) / max(count - 1, 1))]

    return tuple(
        Levels(spread(machine, step), spread(human, step) if both else human[-1]) for step in range(count)
    )


class FrameCost:
    """Bits of frames of one kind at every step of the ladder, learned from those that were coded.

    Keeps a moving mean at the present step, and between two steps a ratio that is corrected at each change of step.

    Args:
        settle: frames after a change of step that tell its ratio.
        weight: of the newest frame in the mean.
    """

    def __init__(self, steps: int, ratio: float, settle: int, weight: float) -> None:
        self._ratios = [ratio] * (steps - 1)
        self._settle = settle
        self._weight = weight
        self._step = 0
        self._mean: float | None = None
        self._before: tuple[int, float] | None = None
        self._seen = 0
        self._sum = 0.0

    def observe(self, step: int, bits: float) -> None:
        """A frame was coded at `step`."""
        if self._mean is None:
            self._mean, self._step = bits, step
        if step != self._step:
            self._before = self._step, self._mean
            self._mean *= self._factor(self._step, step)
            self._step = step
            self._seen, self._sum = 0, 0.0
        self._mean += self._weight * (bits - self._mean)
        self._seen += 1
        self._sum += bits
        if self._before is not None and self._seen == self._settle:
            self._learn(*self._before)
            self._before = None

    def at(self, step: int) -> float:
        """Bits to expect at `step`; 0 before anything was coded."""
        return 0.0 if self._mean is None else self._mean * self._factor(self._step, step)

    def _learn(self, step: int, mean: float) -> None:
        low, high = sorted((step, self._step))
        measured = self._sum / self._seen
        rise = measured / mean if step < self._step else mean / measured
        # The scene may have changed meanwhile: half the correction, and no step that would be cheaper than the one
        # below it.
        for index in range(low, high):
            each = max(rise, 1e-3) ** (1.0 / (high - low))
            self._ratios[index] = min(max(math.sqrt(self._ratios[index] * each), 1.05), 4.0)

    def _factor(self, low: int, high: int) -> float:
        if low > high:
            return 1.0 / self._factor(high, low)
        return math.prod(self._ratios[low:high])


class RateControl:
    """One camera's rate control. For one thread.

    Args:
        steps: what `ladder` gave.
        frames_at_once: frames that the encoder has in work together.
        spending: what was really sent, and the day; the day's budget is counted by it.
        clock: monotonic.
    """

    def __init__(
        self,
        config: RateConfig,
        steps: tuple[Levels, ...],
        frames_at_once: int,
        spending: Spending,
        clock: Clock = time.monotonic,
    ) -> None:
        self._config = config
        self._steps = steps
        self._frames_at_once = frames_at_once
        self._spending = spending
        self._clock = clock
        self._step = 0
        self._keys = FrameCost(len(steps), config.step_ratio, settle=1, weight=0.5)
        self._predicted = FrameCost(len(steps), config.step_ratio, config.settle_frames, weight=0.1)
        self._fill = 0.0
        self._beside_bytes = spending.beside_bytes
        self._set_aside = 0.0
        self._began = self._now = clock()
        self._taken_at = -math.inf
        self._offered_at: float | None = None
        self._offer_s: float | None = None
        self._encode_s: float | None = None
        self._key_count = 0.0
        self._keyed = False
        self._risen = False
        self._changed_at = self._raised_at = -math.inf
        self._up_dwell_s = config.up_dwell_s

    @property
    def allowed_bit_s(self) -> float:
        """The rate to keep now: the target, or what is left of the day's budget if that is less."""
        config = self._config
        rates = []
        if config.kbit_s is not None:
            rates.append(config.kbit_s * _KBIT)
        if config.daily_mb is not None:
            # Spread over an hour at least, or the last minutes of a day would burst with what the others saved.
            left_s = max(self._spending.left_of_day_s, config.least_spread_s)
            rates.append(max(self._left_bytes, 0.0) * 8 / left_s)
        return min(rates)

    @property
    def why_left_out(self) -> str:
        """Reason of drop for a frame that `admit` has just refused."""
        return DropReason.BUDGET if self._stopped else DropReason.RATE

    def admit(self, change: float) -> Admission | None:
        """Whether the frame that was just captured is to be encoded, and how; None leaves it out.

        Args:
            change: share of the picture that is new since the last frame that was taken, 0 to 1.
        """
        now = self._advance()
        self._note_offer(now)
        self._choose_step(now)
        if self._stopped:
            return None
        config, expected = self._config, self._predicted.at(self._step)
        # Half a millisecond of grace, as time stamps are rounded.
        due = now - self._taken_at >= 1.0 / config.least_frame_rate - 5e-4
        weight = min(1.0, change / config.full_change)
        room = self._depth * (config.still_room + (1.0 - config.still_room) * weight)
        # An empty bucket takes any frame, also one that is larger than the bucket.
        room = max(room, expected)
        if not due and (self._used_up or self._fill + self._set_aside + expected > room):
            return None
        self._taken_at = now
        self._set_aside += expected
        risen, self._risen = self._risen, False
        return Admission(self._steps[self._step], self._step, risen, expected)

    def coded(self, admission: Admission, bits: int, key: bool, encode_s: float) -> None:
        """An admitted frame was coded."""
        self._advance()
        self._set_aside -= admission.expected_bits
        self._fill = min(self._fill + bits, self._most)
        self._encode_s = _moved(self._encode_s, encode_s, 0.1)
        if not key:
            self._predicted.observe(admission.step, bits)
            return
        # The first key frame and those that a step up asked for say nothing about how often others come.
        if self._keyed and not admission.key_frame:
            self._key_count += 1.0
        self._keyed = True
        self._keys.observe(admission.step, bits)

    def failed(self, admission: Admission) -> None:
        """An admitted frame was not coded after all."""
        self._set_aside -= admission.expected_bits

    def report(self) -> RateReport:
        """What is asked for and where the control stands."""
        config, levels = self._config, self._steps[self._step]
        return RateReport(
            target_kbit_s=config.kbit_s,
            budget_bytes=None if config.daily_mb is None else round(config.daily_mb * _MB),
            allowed_kbit_s=self.allowed_bit_s / _KBIT,
            machine_level=levels.machine,
            human_level=levels.human,
        )

    @property
    def _left_bytes(self) -> float:
        assert self._config.daily_mb is not None
        return self._config.daily_mb * _MB - self._spending.today_bytes

    @property
    def _used_up(self) -> bool:
        return self._config.daily_mb is not None and self._left_bytes <= 0

    @property
    def _stopped(self) -> bool:
        return self._used_up and self._config.when_used_up == "stop"

    @property
    def _depth(self) -> float:
        return self.allowed_bit_s * self._config.bucket_s

    @property
    def _most(self) -> float:
        """What the bucket remembers at most, as the least frame rate may overfill it: an hour of motion is not paid for
        by an hour of thinned frames. A key frame has room beside it, because its bits have to be paid for.
        """
        return self._depth + 1.5 * self._keys.at(self._step)

    def _advance(self) -> float:
        """Let out what flowed since the last call, and pour in what was sent beside the frames."""
        now = self._clock()
        passed = now - self._now
        self._now = now
        beside_bytes = self._spending.beside_bytes
        unforeseen = 8 * (beside_bytes - self._beside_bytes)
        self._beside_bytes = beside_bytes
        self._fill = min(max(0.0, self._fill - self.allowed_bit_s * passed) + unforeseen, self._most)
        self._key_count *= math.exp(-passed / self._config.key_memory_s)
        return now

    def _note_offer(self, now: float) -> None:
        if self._offered_at is not None:
            self._offer_s = _moved(self._offer_s, now - self._offered_at, 0.05)
        self._offered_at = now

    def _demand(self, step: int) -> float:
        """Bits per second if every frame that comes, and that the encoder can take, were coded at `step`."""
        if self._offer_s is None:
            return 0.0
        between_s = max(self._offer_s, (self._encode_s or 0.0) / self._frames_at_once, 1e-3)
        keys_s = self._key_count / self._config.key_memory_s
        return self._predicted.at(step) / between_s + self._keys.at(step) * keys_s

    def _choose_step(self, now: float) -> None:
        config, allowed = self._config, self.allowed_bit_s
        if self._used_up:
            self._step = 0
            return
        waited_s = now - self._changed_at
        if (
            self._step
            and waited_s >= config.down_dwell_s
            and self._demand(self._step) > allowed * (1 + config.margin)
        ):
            fitting = (step for step in reversed(range(self._step)) if self._demand(step) <= allowed)
            self._change_step(next(fitting, 0), now)
        elif (
            self._step + 1 < len(self._steps)
            and waited_s >= self._up_dwell_s
            and now - self._began >= config.up_dwell_s
            and self._fill <= self._depth / 2
            and self._demand(self._step + 1) <= allowed * (1 - config.margin)
            # The key frame that goes with it must not be what the camera is silent for afterwards.
            and self._keys.at(self._step + 1) <= allowed * config.key_memory_s * config.margin
        ):
            self._change_step(self._step + 1, now)

    def _change_step(self, step: int, now: float) -> None:
        config = self._config
        self._risen = step > self._step
        if self._risen:
            if now - self._raised_at > 4 * self._up_dwell_s:
                self._up_dwell_s = config.up_dwell_s
            self._raised_at = now
        elif now - self._raised_at <= 4 * self._up_dwell_s:
            self._up_dwell_s = min(2 * self._up_dwell_s, config.longest_dwell_s)
        self._step, self._changed_at = step, now


def _moved(mean: float | None, value: float, weight: float) -> float:
    return value if mean is None else mean + weight * (value - mean)

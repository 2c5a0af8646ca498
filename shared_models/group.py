"""A camera's frames, each predicted from the last key frame where that pays.

A *group* is a key frame with the frames predicted from it. All of them refer to the key frame alone, so that any of
them may be lost, and be decoded in any order.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Final

from torch import Tensor

from shared_models.bitstream import FrameType, Layer
from shared_models.change import change
from shared_models.codec import AnalysedFrame, Changes, Codec, CodedFrame, OperatingPoint
from shared_models.light import Light
from shared_models.picture import Picture
from shared_models.reference import Reference


@dataclass(frozen=True)
class GroupConfig:
    """When a position counts as changed, and a frame as a new scene.

    Attributes:
        longest: frames of a group, at most.
        thresholds: squared quantiser steps beyond the camera's noise from which a position is coded, in the machine and
            in the enhancement layer, whose steps are finer.
        noise_margin: of the camera's noise, so many times as much counts as noise.
        noise_quantile: share of the positions that stand still in most frames: what they do is noise.
        noise_memory: share of the noise that is remembered from frame to frame; the first frames count alike.
        most_noise: squared quantiser steps of either layer. More than this is no noise but a picture that changes
            everywhere: a deviation of 10 of 255 makes about as much.
        scene_cut: share of changed positions from which a frame is a key frame.
        most_stirred: squared quantiser steps. A place that changed by more is another thing, in whatever light.
        finer_keys: levels by which a key frame is finer than its predicted frames, where there are such levels, in the
            machine and in the enhancement layer. What does not change stays as fine as it was in the key frame.
            It is not finer behind a group that ended before it could be judged: that pays only over several frames.
        settled: predicted frames behind a key frame by which it is judged.
        worthwhile: a key frame was worth its price if the frames behind it cost less than this share of those before.
        least_patience, most_patience: prices of a key frame that predicted frames may cost in all.
    """

    longest: int = 250
    thresholds: tuple[float, float] = (3.0, 2.0)
    noise_margin: float = 2.0
    noise_quantile: float = 0.1
    noise_memory: float = 0.9
    most_noise: tuple[float, float] = (1.0, 8.0)
    scene_cut: float = 0.7
    most_stirred: float = 48.0
    finer_keys: tuple[int, int] = (0, 3)
    settled: int = 3
    worthwhile: float = 0.8
    least_patience: float = 2.0
    most_patience: float = 64.0


GROUP: Final = GroupConfig()


@dataclass(frozen=True)
class GroupFrame:
    """Both layers of a frame.

    Attributes:
        key: turn of the key frame that it is predicted from; its own if it is one.
        changed: share of the machine layer's positions that are coded; 1 in a key frame.
    """

    machine: bytes
    enhancement: bytes
    frame_type: FrameType
    key: int
    changed: float


@dataclass(frozen=True)
class _Since:
    """What became different since a key frame: the light, places of the machine layer, and from how much on others."""

    light: Light
    machine: Tensor
    enhancement_noise: float | None
    """None where nothing has been heard of it yet."""


@dataclass
class _Group:
    """The group under way. `coding` becomes its key frame as it is decoded."""

    turn: int
    key: AnalysedFrame
    slices: int
    finer: bool
    coding: Future[Reference] = field(default_factory=Future)
    price: int = 0
    paid: int = 0
    predicted: int = 0
    excess: float = 0.0
    settled: float = 0.0
    """Mean cost of the first predicted frames."""
    recent: float = 0.0
    """Mean cost of the last ones, by and by forgetting earlier ones."""


class _Noise:
    """What a camera's noise does to the latents of a layer, at whatever level they are quantised.

    `layer` is 0 for the machine and 1 for the enhancement layer.
    """

    def __init__(self, config: GroupConfig, layer: int) -> None:
        self._config = config
        self._threshold = config.thresholds[layer]
        self._most = config.most_noise[layer]
        self._power = 0.0
        self._times = 0

    def hear(self, stirred: Tensor, gain: Tensor) -> None:
        """Learn from what happened between two frames, in squared quantiser steps of this gain."""
        self._times += 1
        weight = max(1.0 - self._config.noise_memory, 1.0 / self._times)
        self._power += weight * (self._within(stirred) / _squared_steps(gain) - self._power)

    def at(self, gain: Tensor) -> float | None:
        """In squared quantiser steps of this gain; None before any was heard."""
        return self._power * _squared_steps(gain) if self._times else None

    def exceeded(self, stirred: Tensor, noise: float | None) -> Tensor:
        """Where there is a change beyond this much noise; beyond what is in the change itself when None."""
        noise = self._within(stirred) if noise is None else noise
        return stirred > self._threshold + self._config.noise_margin * noise

    def _within(self, stirred: Tensor) -> float:
        """What places do that stand still in most frames."""
        return min(stirred.flatten().quantile(self._config.noise_quantile).item(), self._most)


def _squared_steps(gain: Tensor) -> float:
    """That a squared unit of latents is: gains of two levels differ by about the same factor in all channels."""
    return gain.square().mean().item()


class GroupEncoder:
    """Encodes one camera's frames. Safe for several threads; frames take their turns in capture order.

    A frame becomes a key frame when there is none yet, when one was requested, when the size or the number of slices
    changes, when most of the picture changed, when the group is as long as may be, and when prediction stops paying:

    - What predicted frames cost more than the first ones behind their key frame adds up to its price. Where the cost
      rises evenly, as things drift away from the key frame, no other interval costs less.
    - All that they cost adds up to a few times its price: perhaps even the first ones were dear only for what has gone
      by since. If the frames behind the new key frame cost as much again, that was in vain, and the next attempt has to
      wait for twice as much.

    Args:
        codec: encodes key frames only, if it predicts none.
    """

    def __init__(self, codec: Codec, config: GroupConfig = GROUP) -> None:
        self._codec = codec
        self._config = config
        self._issued = 0
        self._next = 1
        self._skipped: set[int] = set()
        self._turns = threading.Condition()
        self._group: _Group | None = None
        self._key_requested = False
        self._before: AnalysedFrame | None = None
        self._earlier: AnalysedFrame | None = None
        self._noise = (_Noise(config, 0), _Noise(config, 1))
        self._patience = config.least_patience
        self._cost_before = 0.0

    def turn(self) -> int:
        """The place of the next frame, from 1. Call in capture order; every turn has to be used, or skipped."""
        with self._turns:
            self._issued += 1
            return self._issued

    def skip(self, turn: int) -> None:
        """The frame of this turn is not going to be encoded."""
        with self._turns:
            self._skipped.add(turn)
            self._advance()

    def request_key(self) -> None:
        """Make the next frame a key frame."""
        with self._turns:
            self._key_requested = True

    def encode(
        self,
        image: Picture,
        turn: int,
        *,
        quality: int | None = None,
        machine_quality: int | None = None,
        slices: int | None = None,
    ) -> GroupFrame:
        """Encode a frame. Waits until all earlier turns know what they are predicted from.

        Args:
            image, quality, machine_quality, slices: as for `Codec.encode`; key frames are finer (`finer_keys`).

        Raises:
            ImageError, QualityError, SlicesError: as there; the turn counts as used.
        """
        try:
            point = self._codec.operating_point(quality, machine_quality, slices)
            analysed = self._codec.analyse(image)
        except BaseException:
            self.skip(turn)
            raise
        with self._turns:
            self._turns.wait_for(lambda: self._next == turn)
            try:
                group, since = self._placed(turn, analysed, point)
            finally:
                self._skipped.add(turn)
                self._advance()
        if since is None:
            return self._key(group, analysed, self._finer(point) if group.finer else point)
        return self._predicted(group, since, analysed, point)

    def _advance(self) -> None:
        while self._next in self._skipped:
            self._skipped.remove(self._next)
            self._next += 1
        self._turns.notify_all()

    def _placed(
        self, turn: int, analysed: AnalysedFrame, point: OperatingPoint
    ) -> tuple[_Group, _Since | None]:
        """The group of a frame, and what became different since its key frame; nothing if the frame is that."""
        self._listen(analysed, point)
        group = self._group
        if group is not None and not self._ends(group, turn, analysed, point):
            light, stirred = self._relit(group.key, analysed, point)
            machine_noise, enhancement_noise = (
                noise.at(gain) for noise, gain in zip(self._noise, self._codec.gains(point), strict=True)
            )
            machine = self._noise[0].exceeded(stirred, machine_noise)
            if machine.float().mean().item() < self._config.scene_cut:
                return group, _Since(light, machine, enhancement_noise)
        finer = self._key_requested or group is None or turn - group.turn > self._config.settled
        self._key_requested = False
        self._cost_before = 0.0 if group is None else group.recent
        self._group = _Group(turn, analysed, point.slices, finer)
        return self._group, None

    def _ends(self, group: _Group, turn: int, analysed: AnalysedFrame, point: OperatingPoint) -> bool:
        """Whether a new group begins, whatever the frame shows."""
        return (
            self._key_requested
            or not self._codec.predicts
            or turn - group.turn >= self._config.longest
            or (analysed.width, analysed.height) != (group.key.width, group.key.height)
            or point.slices != group.slices
            or (group.coding.done() and group.coding.exception() is not None)
            or 0 < group.price <= max(group.excess, group.paid / self._patience)
        )

    def _listen(self, analysed: AnalysedFrame, point: OperatingPoint) -> None:
        """Learn the camera's noise from what happens between two frames where least happens.

        That of the enhancement layer from the two frames before, lest anyone wait for its analysis.
        """
        earlier, before = self._earlier, self._before
        self._earlier, self._before = before, analysed
        machine_gain, gain = self._codec.gains(point)
        if before is None or before.machine.shape != analysed.machine.shape:
            return
        of_machine, of_enhancement = self._noise
        of_machine.hear(change(analysed.machine, before.machine, machine_gain), machine_gain)
        if earlier is None or earlier.machine.shape != before.machine.shape:
            return
        if not (earlier.coming.exception() or before.coming.exception()):
            of_enhancement.hear(change(before.enhancement, earlier.enhancement, gain), gain)

    def _relit(
        self, key: AnalysedFrame, analysed: AnalysedFrame, point: OperatingPoint
    ) -> tuple[Light, Tensor]:
        """The light in which least changed of the machine layer since the key frame, and what did."""
        gain, _ = self._codec.gains(point)
        tried = [
            (light, change(analysed.machine, self._codec.relit(key, light, Layer.MACHINE), gain))
            for light in Light.candidates(key.brightness, analysed.brightness)
        ]
        most = self._config.most_stirred
        return min(tried, key=lambda each: each[1].clamp_max(most).mean().item())

    def _finer(self, point: OperatingPoint) -> OperatingPoint:
        """That of a key frame which others may be predicted from."""
        if not self._codec.predicts or self._config.longest == 1:
            return point
        profile = self._codec.config
        machine, human = self._config.finer_keys
        return replace(
            point,
            quality=min(point.quality + human, profile.enhancement.levels - 1),
            machine_quality=min(point.machine_quality + machine, profile.machine.levels - 1),
        )

    def _key(self, group: _Group, analysed: AnalysedFrame, point: OperatingPoint) -> GroupFrame:
        try:
            coded = self._codec.code(analysed, point)
        except BaseException as error:
            group.coding.set_exception(error)
            raise
        frame = coded.frame
        with self._turns:
            group.price = len(frame.machine) + len(frame.enhancement)
        group.coding.set_result(coded.reference)
        return GroupFrame(frame.machine, frame.enhancement, FrameType.SELF_CONTAINED, group.turn, 1.0)

    def _predicted(
        self, group: _Group, since: _Since, analysed: AnalysedFrame, point: OperatingPoint
    ) -> GroupFrame:
        def changed() -> Tensor:
            """Of the enhancement layer."""
            before = self._codec.relit(group.key, since.light, Layer.ENHANCEMENT)
            _, gain = self._codec.gains(point)
            stirred = change(analysed.enhancement, before, gain)
            return self._noise[1].exceeded(stirred, since.enhancement_noise)

        changes = Changes(group.coding.result(), since.light, since.machine, changed)
        coded: CodedFrame = self._codec.code(analysed, point, changes)
        frame = coded.frame
        with self._turns:
            self._pay(group, len(frame.machine) + len(frame.enhancement))
        share = since.machine.float().mean().item()
        return GroupFrame(frame.machine, frame.enhancement, FrameType.PREDICTED, group.turn, share)

    def _pay(self, group: _Group, cost: int) -> None:
        """Count what a predicted frame cost, and judge by the first few whether their key frame was worth its price."""
        config = self._config
        group.paid += cost
        group.predicted += 1
        if group.predicted <= config.settled:
            group.settled += cost / config.settled
        else:
            group.excess += max(0.0, cost - group.settled)
        group.recent += (cost - group.recent) / min(group.predicted, config.settled)
        if group is self._group and group.predicted == config.settled and self._cost_before > 0.0:
            worthwhile = group.settled < config.worthwhile * self._cost_before
            self._patience = (
                config.least_patience if worthwhile else min(2.0 * self._patience, config.most_patience)
            )

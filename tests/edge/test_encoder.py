from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.config import RateConfig
from edge.encoder import Encoder
from edge.errors import ConfigError
from edge.frame import CapturedFrame
from edge.rate_control import Levels
from shared_models import Codec, CodecError, Layer


@pytest.mark.parametrize("bound", ["quality", "machine_quality", "slices"])
def test_only_levels_and_slices_that_the_codec_has_are_taken(codec: Codec, bound: str) -> None:
    profile = codec.config
    least, most = {
        "quality": (0, profile.enhancement.levels - 1),
        "machine_quality": (0, profile.machine.levels - 1),
        "slices": (1, profile.slices),
    }[bound]
    for within in (least, most, None):
        Encoder(codec, **{bound: within}).close()
    for outside in (least - 1, most + 1):
        with pytest.raises(
            ConfigError, match=f"is {outside}: the profile {profile.name} has {least} to {most}"
        ):
            Encoder(codec, **{bound: outside})


def captured(grey: int, size: tuple[int, int] = (64, 96)) -> CapturedFrame:
    return CapturedFrame(np.full((*size, 3), grey, np.uint8), captured_at_ns=0, pts_us=0)


async def test_frames_take_their_turns_in_the_order_of_the_calls_and_name_their_key_frame(
    codec: Codec,
) -> None:
    encoder = Encoder(codec, frames_at_once=2)
    first, second, third = await asyncio.gather(*(encoder.encode(captured(90)) for _ in range(3)))
    encoder.request_key()
    fourth = await encoder.encode(captured(90))
    encoder.close()
    assert [frame.turn for frame in (first, second, third, fourth)] == sorted(
        frame.turn for frame in (first, second, third, fourth)
    )
    assert [frame.predicted for frame in (first, second, third, fourth)] == [False, True, True, False]
    assert {second.key, third.key} == {first.turn}
    assert second.changed < first.changed == 1.0


async def test_a_frame_that_is_given_up_before_it_is_begun_holds_up_no_other(codec: Codec) -> None:
    encoder = Encoder(codec, frames_at_once=1)
    first = encoder.encode(captured(90))
    waiting = encoder.encode(captured(90))
    last = encoder.encode(captured(90))
    waiting.cancel()
    assert not (await first).predicted
    assert (await last).predicted
    encoder.close()


async def test_a_frame_that_fails_holds_up_no_other(codec: Codec) -> None:
    encoder = Encoder(codec, frames_at_once=2)
    bad, good = encoder.encode(captured(90, (8, 8))), encoder.encode(captured(90))
    with pytest.raises(CodecError):
        await bad
    assert not (await good).predicted
    encoder.close()


async def test_a_frame_is_encoded_at_the_levels_that_it_is_given(codec: Codec) -> None:
    encoder = Encoder(codec, quality=3, machine_quality=2)
    for levels, expected in ((None, (2, 3)), (Levels(machine=0, human=1), (0, 1))):
        frame = await encoder.encode(captured(90), levels)
        header = codec.inspect(frame.enhancement, Layer.ENHANCEMENT)
        assert (header.machine_quality, header.quality) == expected
    encoder.close()


def test_rate_control_may_choose_from_the_least_level_to_the_encoders_own(codec: Codec) -> None:
    encoder = Encoder(codec, quality=2, machine_quality=1)
    assert encoder.ladder(RateConfig(kbit_s=1)) == (Levels(0, 2), Levels(1, 2))
    assert encoder.ladder(RateConfig(kbit_s=1, both_layers=True, least_quality=1)) == (
        Levels(0, 1),
        Levels(1, 2),
    )
    for options in ({"least_quality": 3}, {"least_machine_quality": 2}, {"least_machine_quality": -1}):
        with pytest.raises(ConfigError, match=r"the least .* it may be 0 to"):
            encoder.ladder(RateConfig(kbit_s=1, **options))
    encoder.close()

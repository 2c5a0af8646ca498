from __future__ import annotations

import pytest

from edge.encoder import Encoder
from edge.errors import ConfigError
from shared_models import Codec


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

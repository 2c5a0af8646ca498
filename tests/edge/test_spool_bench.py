from __future__ import annotations

import asyncio
from pathlib import Path

from edge.spool_bench import SYNCS, measure
from shared_models import Codec


def test_every_level_of_sync_is_measured_beside_the_encoder_and_the_bare_disk(
    tmp_path: Path, codec: Codec
) -> None:
    bench = asyncio.run(measure(codec, tmp_path, frames=20, width=64, height=48))
    assert [costs.sync for costs in bench.spools] == list(SYNCS)
    for cost in (bench.encode, bench.append, bench.append_and_sync, *(costs.put for costs in bench.spools)):
        assert 0 < cost.mean_us <= cost.longest_us
    assert bench.frame_bytes > 0
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"

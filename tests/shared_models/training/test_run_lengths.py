from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from shared_models.training.run_lengths import decoded


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_compressed_run_lengths_are_read_as_pycocotools_writes_them(share: float) -> None:
    rng = np.random.default_rng(3)
    for height, width in ((1, 1), (7, 5), (64, 300)):
        mask = rng.random((height, width)) < share
        packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        told = {"size": packed["size"], "counts": packed["counts"].decode()}
        found = decoded(told, (height, width))
        assert found is not None
        assert np.array_equal(found, mask)

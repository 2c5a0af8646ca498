from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from shared_models.config import LITE
from shared_models.profile import machine_layer
from shared_models.training.enhancement import EnhancementTask
from tests.shared_models.training.conftest import TINY


@pytest.mark.parametrize(("asked", "expected"), [(0, {1, 2, 3, 4, 5}), (1, {1}), (3, {3})])
def test_crops_have_the_slices_that_a_recipe_asks_for_or_any_number(asked: int, expected: set[int]) -> None:
    task = EnhancementTask(LITE, replace(TINY, slices=asked), machine_layer(LITE))
    drawn = Counter(task._slices(2000, np.random.default_rng(1)).tolist())
    assert set(drawn) == expected
    if asked == 0:
        assert drawn[5] > drawn[1] > max(drawn[2], drawn[3], drawn[4])

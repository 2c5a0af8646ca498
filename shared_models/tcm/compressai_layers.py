"""The parts of CompressAI that LIC-TCM consists of, whether torchvision's operators can be loaded or not.

Importing this takes seconds: only what builds the networks of the profile `paper` does.
"""

from __future__ import annotations

import warnings

from shared_models.errors import WeightsError
from shared_models.torchvision_operators import provide_operators

try:
    with warnings.catch_warnings():  # of packages that it imports and that are not used
        warnings.simplefilter("ignore")
        provide_operators()
        from compressai.entropy_models import EntropyBottleneck
        from compressai.layers import (
            AttentionBlock,
            ResidualBlock,
            ResidualBlockUpsample,
            ResidualBlockWithStride,
            conv3x3,
            subpel_conv3x3,
        )
        from compressai.ops.bound_ops import LowerBoundFunction
except ModuleNotFoundError as error:
    raise WeightsError(
        f"the profile 'paper' needs CompressAI, and {error.name} is not installed: see requirements/peers.txt"
    ) from error

__all__ = [
    "AttentionBlock",
    "EntropyBottleneck",
    "LowerBoundFunction",
    "ResidualBlock",
    "ResidualBlockUpsample",
    "ResidualBlockWithStride",
    "conv3x3",
    "subpel_conv3x3",
]

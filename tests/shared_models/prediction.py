"""Predicted frames for tests: of any pictures, in any light, changed wherever a test wants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from shared_models import Codec, EncodedFrame
from shared_models.codec import Changes, CodedFrame
from shared_models.light import Light
from shared_models.picture import Picture
from shared_models.profile import predicted_models
from shared_models.reference import Reference
from shared_models.weights import Weights

LightNumbers = tuple[int, int, int, int]
SAME_LIGHT: Final[LightNumbers] = (512, 512, 512, 512)
SUNSET: Final[LightNumbers] = (470, 530, 512, 480)
_DISTURBANCE: Final = 0.03

ChangeMap = NDArray[np.bool_]


def predicting(weights: Weights) -> Weights:
    """These weights; if they predict nothing, with models that predict badly, but from all that they may see."""
    if weights.predicted is not None:
        return weights
    models = predicted_models(weights.config)
    torch.manual_seed(5)
    with torch.no_grad():
        for predicted, still in (
            (models.machine, weights.machine.entropy),
            (models.enhancement, weights.enhancement.entropy),
        ):
            predicted.start_predicted(still)
            for name, parameter in predicted.named_parameters():
                if "gather" in name or name.endswith("net.0.weight"):
                    parameter += _DISTURBANCE * torch.randn_like(parameter)
    return replace(weights, predicted=models)


@dataclass(frozen=True)
class Change:
    """What becomes of a frame: its light, and where each layer changes, (h, w)."""

    machine: ChangeMap
    enhancement: ChangeMap
    light: LightNumbers = SAME_LIGHT

    @classmethod
    def of(cls, image: Picture, share: float, seed: int = 0, light: LightNumbers = SAME_LIGHT) -> Change:
        """About `share` of the positions of either layer, the same ones for every seed."""
        size = -(-image.shape[0] // 16), -(-image.shape[1] // 16)
        machine, enhancement = np.random.default_rng(seed).random((2, *size)) < share
        return cls(machine, enhancement, light)

    def against(self, reference: Reference, device: torch.device) -> Changes:
        """As the codec takes it."""
        machine, enhancement = (
            torch.from_numpy(part)[None, None].to(device) for part in (self.machine, self.enhancement)
        )
        light = Light(torch.tensor([self.light], dtype=torch.float32, device=device))
        return Changes(reference, light, machine, enhancement)


def coded_key(
    codec: Codec,
    image: Picture,
    quality: int | None = None,
    machine_quality: int | None = None,
    slices: int | None = None,
) -> CodedFrame:
    """A key frame, with what its decoder will have of it."""
    return codec.code(codec.analyse(image), codec.operating_point(quality, machine_quality, slices))


def predicted_frame(
    codec: Codec,
    reference: Reference,
    image: Picture,
    change: Change,
    quality: int | None = None,
    machine_quality: int | None = None,
    slices: int | None = None,
) -> EncodedFrame:
    """A frame coded against a reference."""
    point = codec.operating_point(quality, machine_quality, slices)
    return codec.code(codec.analyse(image), point, change.against(reference, codec.device)).frame

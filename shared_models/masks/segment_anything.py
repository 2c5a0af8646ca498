"""Edges of the segments that Segment Anything finds, with weights that the user has."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared_models.errors import MaskError, WeightsError
from shared_models.masks.config import DEFAULTS, MaskConfig
from shared_models.masks.segments import segment_edges
from shared_models.torchvision_operators import provide_operators

_POSITIONS: Final = "image_encoder.pos_embed"
_BY_WIDTH: Final = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_TINY: Final = "image_encoder.patch_embed.seq.0.c.weight"


class SegmentEdges:
    """Outlines of the segments of Segment Anything's automatic generator.

    Args:
        checkpoint: weights as the authors publish them: ViT-B, -L or -H (Kirillov et al., 2023) or MobileSAM's ViT-T
            (Zhang et al., 2023); which of them, the file tells.
        config: `confidence` is the generator's threshold on the predicted IoU.
        device: what computes.

    Raises:
        WeightsError: the checkpoint is missing or none of these.
        MaskError: the package with the network is not installed.
    """

    name = "sam"

    def __init__(
        self, checkpoint: Path, config: MaskConfig = DEFAULTS, device: torch.device | None = None
    ) -> None:
        weights = _weights(checkpoint)
        kind = _kind(weights)
        if kind is None:
            raise WeightsError(
                f"{checkpoint} is no Segment Anything checkpoint: name one of ViT-B, -L or -H, or MobileSAM's"
            )
        package = _package()
        network = package.sam_model_registry[kind]()
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise WeightsError(f"{checkpoint} does not fit Segment Anything's {kind}: {error}") from error
        network = network.to(device or torch.device("cpu")).eval()
        self.kind = kind
        self._generator = package.SamAutomaticMaskGenerator(
            network,
            points_per_side=config.points_per_side,
            pred_iou_thresh=config.confidence,
            stability_score_thresh=config.stability,
        )

    def lines(self, photo: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """See `EdgeMethod`."""
        found = self._generator.generate(photo)
        return segment_edges((each["segmentation"] for each in found), photo.shape[:2])


def _weights(checkpoint: Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{checkpoint} is missing: name a Segment Anything checkpoint") from error
    except Exception as error:  # which of them, a foreign file's bytes decide
        raise WeightsError(f"{checkpoint} is no checkpoint: PyTorch cannot read it") from error
    return weights if isinstance(weights, dict) else {}


def _kind(weights: dict[str, Tensor]) -> str | None:
    if isinstance(positions := weights.get(_POSITIONS), Tensor):
        return _BY_WIDTH.get(positions.shape[-1])
    return "vit_t" if _TINY in weights else None


def _package() -> Any:
    try:
        provide_operators()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports by names that timm has deprecated
            import mobile_sam
    except ImportError as error:
        raise MaskError(
            f"Segment Anything needs the package {error.name}: pip install 'secondsight[sam]'"
        ) from error
    return mobile_sam

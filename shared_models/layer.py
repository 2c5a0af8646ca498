"""One layer's entropy model: hyperprior, and channel slices each conditioned on those before (Minnen & Singh, 2020).

What is coded of a latent y is ``q = round((y - mean) * gain)``, an integer with a zero-mean distribution whose width is
chosen by an index alone. Two paths lead to a slice:

::

    z, |q| of earlier slices, |q| of the context -- fixed point --> sigma index --> probability table    (exact)
    z, y^ of earlier slices, y^ of the context  -- float -------> mean                                  (may differ)

In a predicted frame the reference's integers and latents join the context, and the mean is that of the nets plus a
share of the reference's latent, by how much the nets believe it. Only the first path has to agree on both sides to the
bit; a rounding difference in the second moves the picture by as much.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared_models.blocks import DepthwiseBlock
from shared_models.byte_product import ByteProduct, byte_product
from shared_models.config import LiteConfig, LiteLayerConfig
from shared_models.entropy_model import HYPER_STRIDE, Context, EntropyModel, Level, Prediction, Visit
from shared_models.fixed_point import (
    ACTIVATION_UNIT,
    FixedPointConv2d,
    as_magnitude,
    on_grid,
    requantised_relu,
)
from shared_models.gathering import ByteGathering, Gathering
from shared_models.hyperprior import HyperAnalysis, HyperMean, HyperScale
from shared_models.positions import Positions
from shared_models.rate import gaussian_bits
from shared_models.scale import LEVELS, index_of, log_sigma_of

_SLOPE = 0.1


class IndexNet(nn.Module):
    """Sigma indices of one slice, in fixed point, given what `gather` makes of all that is known."""

    def __init__(self, inputs: int, config: LiteConfig, levels: int, context_levels: int) -> None:
        super().__init__()
        width = config.index_width
        self.gather = FixedPointConv2d(inputs, width)
        self.spread = FixedPointConv2d(width, width, kernel=3, groups=width)
        self.index = FixedPointConv2d(width, config.slice_width)
        self.level_bias = nn.Parameter(torch.zeros(levels, config.slice_width))
        self.context_bias = nn.Parameter(torch.zeros(context_levels, config.slice_width))
        nn.init.zeros_(self.index.weight)

    def multiply_accumulates(self, gathered: Tensor) -> int:
        """Those of `gather`, which is not called itself."""
        return gathered.numel() * self.gather.weight[0].numel()

    def forward(self, gathered: Tensor, level: Level, positions: Positions) -> Tensor:
        x = requantised_relu(positions.around(self.spread, requantised_relu(gathered)))
        bias = on_grid(self.level_bias)[level.own] + on_grid(self.context_bias)[level.context]
        told = positions.whole(self.index(x))
        return index_of(torch.add(bias[:, :, None, None], told, alpha=ACTIVATION_UNIT))


class MeanNet(nn.Module):
    """Means of one slice, in units of each channel's typical size, given what `gather` makes of all that is known.

    In a predicted frame, behind them, the share of the reference's latents that is added to them.
    """

    def __init__(self, inputs: int, config: LiteConfig, blocks: int, predicted: bool) -> None:
        super().__init__()
        width = config.mean_width
        last = nn.Conv2d(width, config.slice_width * (2 if predicted else 1), 1)
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(
            nn.Conv2d(inputs, width, 1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.LeakyReLU(_SLOPE, inplace=True),
            *(DepthwiseBlock(width) for _ in range(blocks)),
            last,
        )

    @property
    def gather(self) -> nn.Conv2d:
        """The first convolution, which sees all that is known."""
        first = self.net[0]
        assert isinstance(first, nn.Conv2d)
        return first

    def multiply_accumulates(self, gathered: Tensor) -> int:
        """Those of `gather`, which is not called itself."""
        return gathered.numel() * self.gather.weight[0].numel()

    def forward(self, gathered: Tensor, positions: Positions) -> Tensor:
        _, activate, spread, _, *blocks, last = self.net
        x = activate(positions.around(spread, activate(gathered)))
        for block in blocks:
            x = block(x, positions.around)
        return positions.whole(last(x))


class LayerEntropyModel(EntropyModel):
    """Entropy model of one layer. `walk` is the only loop over slices: estimating, encoding and decoding share it.

    A slice's spread is its sigma index.

    Args:
        config: the profile.
        size: the layer's numbers.
        context_levels: number of levels of the layer conditioned on; 1 without one.
        conditioned: whether `walk` is given a `Context`.
        predicted: whether it is given a `Prediction`.
    """

    def __init__(
        self,
        config: LiteConfig,
        size: LiteLayerConfig,
        context_levels: int,
        conditioned: bool,
        predicted: bool = False,
    ) -> None:
        super().__init__(config.slices, config.slice_width)
        levels = size.levels
        self.conditioned = conditioned
        self.predicted = predicted
        self._mean_blocks = size.mean_blocks
        self.hyper_analysis = HyperAnalysis(config)
        self.hyper_scale = HyperScale(config)
        self.hyper_mean = HyperMean(config)
        seen = config.features + (config.latents if conditioned else 0)
        # A slice of the reference joins with its own slice: a stream of fewer slices needs no more of its reference.
        inputs = [seen + config.slice_width * (2 * k + 1 if predicted else k) for k in range(config.slices)]
        self.index_nets = nn.ModuleList(IndexNet(n, config, levels, context_levels) for n in inputs)
        self.mean_nets = nn.ModuleList(MeanNet(n, config, size.mean_blocks, predicted) for n in inputs)
        self.log_gain = nn.Parameter(torch.zeros(levels, config.latents))
        self.log_inverse_gain = nn.Parameter(torch.zeros(levels, config.latents))
        self.hyper_log_sigma = nn.Parameter(torch.full((levels, config.hyper_latents), 2.0))
        self.typical: Tensor
        self.register_buffer("typical", torch.ones(config.latents))
        self.products: list[ByteProduct] | None = None
        """The first convolutions of the index nets, once `settle` was called, where bytes compute the same."""

    @property
    def largest_index(self) -> int:
        return LEVELS - 1

    def gain(self, level: Level) -> Tensor:
        return torch.exp(self.log_gain[level.own])[:, :, None, None]

    def inverse_gain(self, level: Level) -> Tensor:
        """Factor from symbols back to latents, (B, M, 1, 1)."""
        return torch.exp(self.log_inverse_gain[level.own])[:, :, None, None]

    def hyper_latents(self, y: Tensor, level: Level) -> Tensor:
        height, width = y.shape[-2:]
        scaled = y * (self.gain(level) / self._typical_symbol(level))
        padding = (0, -width % HYPER_STRIDE, 0, -height % HYPER_STRIDE)
        return self.hyper_analysis(F.pad(scaled, padding, mode="replicate"))

    def hyper_index(self, level: Level) -> Tensor:
        return index_of(on_grid(self.hyper_log_sigma)[level.own])[:, :, None, None]

    def walk(
        self,
        z: Tensor,
        size: tuple[int, int],
        level: Level,
        context: Context | None,
        slices: int,
        visit: Visit,
        prediction: Prediction | None = None,
    ) -> tuple[Tensor, Tensor]:
        if (context is None) == self.conditioned or (prediction is None) == self.predicted:
            raise ValueError(
                "a context for conditioned layers, a prediction for predicted ones, and for no others"
            )
        height, width = size
        index_nets, mean_nets = self._index_nets[:slices], self._mean_nets[:slices]
        seen = None if prediction is None else self._seen_from(prediction.changed)
        positions = Positions((len(z), height, width), seen)
        scales = (
            Gathering([net.gather for net in index_nets], positions)
            if self.products is None
            else ByteGathering(self.products[:slices], positions)
        )
        means = Gathering([net.gather for net in mean_nets], positions)
        scales.add(self.hyper_scale(z)[..., :height, :width])
        means.add(self.hyper_mean(z)[..., :height, :width])
        typical = self.typical[:, None, None]
        if context is not None:
            scales.add(as_magnitude(context.symbols))
            means.add(context.latents / typical)
        gain, inverse_gain = self.gain(level), self.inverse_gain(level)
        symbols: list[Tensor] = []
        latents: list[Tensor] = []
        for k in range(slices):
            channels = slice(k * self.slice_width, (k + 1) * self.slice_width)
            if prediction is not None:
                scales.add(as_magnitude(prediction.symbols[:, channels]))
                means.add(prediction.latents[:, channels] / typical[channels])
            index = index_nets[k](scales.next(), level, positions)
            told = mean_nets[k](means.next(), positions)
            mean = told[:, : self.slice_width] * typical[channels]
            if prediction is not None:
                mean = mean + told[:, self.slice_width :] * prediction.latents[:, channels]
                index = index * prediction.changed
            q = visit(k, index, mean * gain[:, channels])
            latent = mean + q * inverse_gain[:, channels]
            if prediction is not None:
                latent = torch.where(prediction.changed, latent, prediction.latents[:, channels])
            symbols.append(q)
            latents.append(latent)
            scales.add(as_magnitude(q))
            means.add(latent / typical[channels])
        return torch.cat(symbols, 1), torch.cat(latents, 1)

    def hyper_bits(self, z: Tensor, level: Level) -> Tensor:
        return gaussian_bits(z, self.hyper_index(level))

    def bits(self, symbols: Tensor, spread: Tensor) -> Tensor:
        return gaussian_bits(symbols, spread)

    def index(self, spread: Tensor) -> Tensor:
        return spread

    def settle(self, dtype: torch.dtype) -> None:
        for part in (self.hyper_analysis, self.hyper_mean, self.mean_nets):
            part.to(dtype)
        products = [byte_product(net.gather) for net in self._index_nets]
        if None not in products:
            self.products = cast(list[ByteProduct], products)

    @torch.no_grad()
    def start_predicted(self, still: LayerEntropyModel) -> None:
        """Begin training as `still`, the model of the layer's self-contained frames, blind to the reference."""
        own = self.state_dict()
        for name, trained in still.state_dict().items():
            target = own[name]
            if trained.shape == target.shape:
                target.copy_(trained)
            elif len(trained) < len(target):
                target.zero_()[: len(trained)] = trained
            else:
                # What the first convolutions see: as much as `still` does first, then slices of both by turns.
                target.zero_()
                earlier = (target.shape[1] - trained.shape[1]) // self.slice_width - 1
                first = trained.shape[1] - earlier * self.slice_width
                target[:, :first] = trained[:, :first]
                for k in range(earlier):
                    slices = slice(first + k * self.slice_width, first + (k + 1) * self.slice_width)
                    shift = (k + 1) * self.slice_width
                    target[:, slices.start + shift : slices.stop + shift] = trained[:, slices]

    @torch.no_grad()
    def start_from(self, gains: Tensor, deviations: Tensor, context_deviations: Tensor) -> None:
        """Begin training from measured statistics instead of nothing.

        Args:
            gains: gain of every level, (levels,).
            deviations: standard deviation of every channel of y, (M,), over all levels.
            context_deviations: the same at every context level, (context_levels, M).
        """
        self.log_gain.copy_(torch.log(gains)[:, None].expand_as(self.log_gain))
        self.log_inverse_gain.copy_(-self.log_gain)
        self.typical.copy_(deviations.clamp_min(0.05))
        middle = torch.log(context_deviations.clamp_min(1e-4)).mean(0)
        for k, net in enumerate(self._index_nets):
            channels = slice(k * self.slice_width, (k + 1) * self.slice_width)
            spread = middle[channels].exp()
            net.level_bias.copy_(log_sigma_of(gains[:, None] * spread))
            net.context_bias.copy_(torch.log(context_deviations[:, channels].clamp_min(1e-4) / spread))

    def _seen_from(self, changed: Tensor) -> Tensor:
        """Numbers of the positions that the nets see from where something changed."""
        reach = 1 + self._mean_blocks
        near = F.max_pool2d(changed.float(), 2 * reach + 1, stride=1, padding=reach)
        return near.flatten().nonzero()[:, 0]

    @property
    def _index_nets(self) -> list[IndexNet]:
        return [cast(IndexNet, net) for net in self.index_nets]

    @property
    def _mean_nets(self) -> list[MeanNet]:
        return [cast(MeanNet, net) for net in self.mean_nets]

    def _typical_symbol(self, level: Level) -> Tensor:
        return (self.typical[:, None, None] * self.gain(level).detach()).clamp_min(0.5)

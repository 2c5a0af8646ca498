"""A decoded frame that others are predicted from."""

from __future__ import annotations

from dataclasses import dataclass

from shared_models.bitstream import Header, Layer
from shared_models.layer_coder import CodedLatents


@dataclass(frozen=True)
class Reference:
    """What predicted frames need of the frame that their headers name; its enhancement layer, for human views only."""

    machine_header: Header
    machine: CodedLatents
    enhancement_header: Header | None = None
    enhancement: CodedLatents | None = None

    @property
    def name(self) -> int:
        """What the headers of predicted machine layers call it."""
        return self.machine_header.name

    def name_of(self, layer: Layer) -> int | None:
        """What the headers of a predicted layer call it; None if it lacks that layer."""
        header = self.machine_header if layer is Layer.MACHINE else self.enhancement_header
        return None if header is None else header.name

    @property
    def has_enhancement(self) -> bool:
        """Whether human views can be decoded against it."""
        return self.enhancement is not None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""
        layers = [self.machine] if self.enhancement is None else [self.machine, self.enhancement]
        return sum(layer.symbols.nbytes + layer.latents.nbytes for layer in layers)

"""The machine layer: the paper's SA-ICM branch, eq. (4) and (5)."""

from __future__ import annotations

from shared_models.config import CodecConfig
from shared_models.single import SingleLayer


class MachineLayer(SingleLayer):
    """Analysis and entropy model for the edge, synthesis g_machine for the server."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__(config, config.machine)

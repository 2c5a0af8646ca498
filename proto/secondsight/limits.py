"""Sizes that edge and server have to agree on: a part of the contract beside the messages. All in bytes."""

from __future__ import annotations

from typing import Final

MESSAGE_BYTES: Final = 16 * 2**20
"""Largest gRPC message that any part sends or takes."""

MACHINE_LAYER_BYTES: Final = 8 * 2**20
"""Largest machine layer. The server refuses larger ones, the edge does not send them; usual ones have some 10 kB."""

ENHANCEMENT_LAYER_BYTES: Final = 15 * 2**20
"""Largest enhancement layer that goes over an uplink; usual ones have some 100 kB."""

FRAME_OVERHEAD_BYTES: Final = 4096
"""Most that a Frame holds beside its machine layer: names, times and a trace context."""

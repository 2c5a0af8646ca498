"""A model of the profile `paper` that is small enough for tests."""

from __future__ import annotations

from dataclasses import replace

from shared_models.config import PAPER

TINY = replace(
    PAPER,
    m=3,
    width=8,
    slice_width=4,
    hyper_latents=6,
    head_widths=(2, 4, 8),
    hyper_head_width=4,
    support_width=8,
    support_head_width=4,
    slice_net_widths=(12, 8),
)

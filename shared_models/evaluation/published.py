"""Curves that others have published for the 24 Kodak images: mean bits per pixel and mean PSNR in RGB."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from shared_models.evaluation.rate_distortion import Curve, Figures, Point, Series

KODAK: Final = frozenset(f"kodim{number:02}" for number in range(1, 25))
_TCM: Final = "RD_data.md of the TCM repository (arXiv 2303.14978)"
_COMPRESSAI: Final = "CompressAI, results/image/kodak"


def published_curves(stems: Collection[str]) -> tuple[Curve, ...]:
    """All of them where the photos, by file name without its ending, are the 24 Kodak images; else none."""
    return PUBLISHED if len(stems) == len(KODAK) and set(stems) == KODAK else ()


def _curve(name: str, source: str, points: str, decoded: str = "pictures not rounded to 8 bits") -> Curve:
    """`points`: bits per pixel and PSNR of each, "rate:PSNR"."""
    pairs = [tuple(float(value) for value in point.split(":")) for point in points.split()]
    return Curve(
        Series(f"{name} (published)", "published", f"as published, {decoded}; {source}"),
        tuple(
            Point(f"point {number}", Figures(rate, quality, None))
            for number, (rate, quality) in enumerate(pairs, 1)
        ),
    )


VTM: Final = _curve(
    "VTM 9.1, 4:4:4",
    f"{_COMPRESSAI}, vtm.json",
    ".048:26.14 .112:28.49 .246:31.20 .491:34.26 .875:37.42 1.431:40.42",
    decoded="8-bit YCbCr 4:4:4",
)
PUBLISHED: Final = (
    _curve("TCM-L", _TCM, ".155:30.07 .194:30.85 .300:32.59 .443:34.33 .625:36.15 .880:38.07"),
    _curve("TCM-M", _TCM, ".158:29.88 .195:30.62 .295:32.38 .439:34.15 .623:36.10 .882:37.98"),
    _curve("TCM-S", _TCM, ".161:29.99 .198:30.57 .306:32.42 .455:34.18 .628:36.01 .899:37.96"),
    _curve(
        "ELIC",
        f"{_COMPRESSAI}, paper-elic2022_mse.json",
        ".124:29.11 .197:30.70 .334:32.78 .491:34.58 .704:36.49 .857:37.62",
    ),
    _curve(
        "cheng2020-attn",
        f"{_COMPRESSAI}, compressai-cheng2020-attn_mse_cuda.json",
        ".116:28.43 .175:29.77 .269:31.32 .427:33.36 .595:34.95 .806:36.62",
    ),
    _curve(
        "mbt2018-mean",
        f"{_COMPRESSAI}, compressai-mbt2018-mean_mse_cuda.json",
        ".124:27.70 .198:29.36 .307:31.13 .461:32.95 .662:34.97 .914:36.91 1.234:38.84",
    ),
    _curve(
        "bmshj2018-hyperprior",
        f"{_COMPRESSAI}, compressai-bmshj2018-hyperprior_mse_cuda.json",
        ".131:27.58 .209:29.20 .320:30.97 .478:32.84 .669:34.53 .939:36.74 1.259:38.58",
    ),
    VTM,
)

"""Until when a certificate is good."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509


def expiry(certificate: Path) -> float | None:
    """Seconds since the epoch at which the first certificate of a PEM file ends; None when the file holds none."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None

"""What matters of what was recognised: filters, zones, tracks, events and alerts, by rules per camera."""

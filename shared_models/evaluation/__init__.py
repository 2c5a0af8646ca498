"""Measurements of the codec: quality against bits, and speed."""

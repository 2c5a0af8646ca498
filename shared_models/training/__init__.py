"""Training of the codec's layers. Nothing here is needed to encode or decode."""

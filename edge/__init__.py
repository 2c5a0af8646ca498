"""The edge: encodes a camera's frames in two layers, stores one and sends the other."""

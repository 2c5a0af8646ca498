"""What runs and how it does, read from the metrics of edges, server and workers."""

"""The HTTP face of the server: REST for operators and scripts, the page, probes and metrics."""

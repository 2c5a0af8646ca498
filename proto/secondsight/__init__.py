"""Secondsight: what edge and server share, that is the gRPC contract, the store's keys and the command line."""

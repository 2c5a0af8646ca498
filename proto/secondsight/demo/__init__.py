"""The whole product at work on one machine, seen from outside: by command line, gRPC and REST alone."""

"""The gRPC contract, version 1: messages and services generated from the .proto files here by `make proto`."""

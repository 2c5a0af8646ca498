"""Commands that ask a server by the client."""

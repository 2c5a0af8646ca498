"""Hands results on to MQTT brokers and webhooks: a process of its own, which asks a server as any client does."""

"""The store: a Redis or Valkey by URL, or an embedded Valkey under our own supervision."""

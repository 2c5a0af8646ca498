"""Who asked to see people, and who was let in: written down before anything is shown, in a chain of hashes."""

"""Edge masks of training photos, for the machine layer's loss."""

"""What a view costs in bits, and what it would cost by other means."""

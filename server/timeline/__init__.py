"""What a camera has shown, minute by minute, for longer than its frames are kept."""

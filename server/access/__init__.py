"""Who may do what: people and programs by role, cameras by token."""

"""What people would use instead, started for one command each."""

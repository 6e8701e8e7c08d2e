"""What operators do with a token."""

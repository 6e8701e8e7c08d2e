"""Who asks, and what they have shown about themselves: keys, logins, letters, and people without any of these."""

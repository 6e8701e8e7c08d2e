"""A client of a registry: reading, submitting, following, and verifying what it says."""

"""A client of a registry: reading, submitting, following, and verifying what it says."""

from api.client.client import Client

__all__ = ["Client"]

"""Copies of papers: fetching and hashing them, archives that keep them, checks that they still do."""

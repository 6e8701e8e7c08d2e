"""Anchoring: what outside clocks are asked for, what they promised, and what became of it."""

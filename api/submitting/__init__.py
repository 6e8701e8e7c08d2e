"""Submitting: signed events, plain forms, and the decisions of moderators."""

"""Replaying a log, verified and folded in one pass, on as many processors as there are."""

"""Versions of the tables: the log's, the private ones' and the jobs', each a line of its own (Alembic).

A line begins with the tables of release 0.1; each later version is a file in the line's folder, with a number one
greater in its id. A new one is written by `python -m ops.migrations LINE "what changes"`, which compares the tables in
the code with those that the versions so far make; `lines.py` then names it as the line's head. Events are signed bytes
and are never changed by a version; projections have none, since they are built anew.
"""

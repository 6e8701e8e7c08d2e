"""What a registry owes and does by itself: leases, owed work in tables, and the jobs that do it."""

"""The log past one machine: PostgreSQL on three nodes under Patroni, and the same cluster on loopback to try it."""

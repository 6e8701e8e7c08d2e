"""Following the log: pages, and streams that go on as it grows."""

"""What stands in front of every address: ids, limits, times, compression, figures, logs, and records at hand."""

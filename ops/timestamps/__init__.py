"""Outside clocks: calendars, timestamp authorities, and the block headers that bear them out."""

"""The pure heart: events, runs, cursors, errors and limits; no I/O, no clock."""

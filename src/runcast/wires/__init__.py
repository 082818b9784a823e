"""Wires: events become the bytes of one client vocabulary. Pure; the log never learns of them."""

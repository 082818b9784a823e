"""The holder of one run: a small program that outlives the server. Standard library only."""

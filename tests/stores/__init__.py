"""The store contract over every engine, and what only one engine can be asked."""

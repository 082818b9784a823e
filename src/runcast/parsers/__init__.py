"""Parsers: the bytes of one dialect become drafts. Pure, incremental, never raising on junk."""

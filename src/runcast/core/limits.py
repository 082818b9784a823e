"""Sizes and bounds that hold everywhere, each with its reason."""

METADATA_BYTES = 64 * 1024  # of one run: every list and status change carries it
MESSAGE_BYTES = 64 * 1024  # of the text of one message on the bus: everybody there reads it
BODY_BYTES = 1024 * 1024  # a request body; a command line and its environment fit many times
PAGE_EVENTS = 1_000  # events in one JSON page
PAGE_BYTES = 1024 * 1024  # and bytes: a page is built in memory
LIST_LIMIT = 500  # runs in one list answer
READ_BYTES = 256 * 1024  # what a follower takes from the store at a time
MAX_POSITION = 2**63 - 1  # SQLite's and PostgreSQL's largest integer
INLINE_BYTES = 64 * 1024  # of one text in an event (UTF-8); a longer one is kept as a blob
PREVIEW_BYTES = 4 * 1024  # what the event still shows of it
LINE_BYTES = 16 * 1024 * 1024  # of one line of a dialect: it is held in memory until it ends

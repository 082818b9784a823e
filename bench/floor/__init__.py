"""The least that a Python server can do to send events: how near the product is to it."""

"""JSON as every wire writes it: compact, one line, ASCII only."""

import json
from json.encoder import encode_basestring_ascii as quote

dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode

__all__ = ["dumps", "quote"]

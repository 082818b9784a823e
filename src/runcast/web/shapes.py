"""What values in requests look like, for the readers of the API's description.

Whoever reads a text checks it, and says more than that it does not match; only bounds of numbers
are checked by these types.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema


def text_like(**schema: Any) -> WithJsonSchema:
    """Describe a text by keywords of JSON Schema."""
    return WithJsonSchema({"type": "string", **schema})


def list_of(names: Iterable[str]) -> WithJsonSchema:
    """Describe a text that is one of these names, or several with commas between them."""
    name = "|".join(names)
    return text_like(pattern=f"^({name})(,({name}))*$")


ID = text_like(pattern=r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")

Id = Annotated[str, ID]
Uuid = Annotated[str, text_like(format="uuid")]
Cursor = Annotated[str, text_like(pattern="^(now|0|[1-9][0-9]{0,17})$")]
PageToken = Annotated[str, text_like(pattern="^[A-Za-z0-9_-]{11}$")]
TimeText = Annotated[str, text_like(format="date-time")]
Named = Annotated[str, text_like(pattern=r"[^\s\x1c-\x1f\x85]")]  # these are space to Python
AbsolutePath = Annotated[str, text_like(pattern=r"^/[^\x00]*$")]
# As large as the store can count. Not `le`: the description has bounds as floating point numbers,
# and rounds that one up.
Count = Annotated[int, Field(ge=0, lt=2**63)]

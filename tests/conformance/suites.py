"""Where the suites are that others wrote, and how their results are told."""

from tests.support.needs import SUITES

WSTEST = SUITES / "autobahn" / "bin" / "wstest"
SCHEMATHESIS = SUITES / "schemathesis" / "bin" / "schemathesis"


def tell(result: str) -> None:
    """Print what `scripts/conformance` keeps of a suite: one line."""
    print(f"\nresult: {result}", flush=True)

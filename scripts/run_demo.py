"""Start a server on the given folder, run the demo, say where to look, and wait for Ctrl-C."""

import re
import signal
import subprocess
import sys
from pathlib import Path

RUNCAST = str(Path(sys.executable).with_name("runcast"))
LISTENING = re.compile(r"runcast is listening on (http://\S+)")


def main() -> int:
    """Return the server's exit code."""
    command = [RUNCAST, "serve", "--data-dir", sys.argv[1]]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if url := _wait_for_address(server):
            _show_demo(url)
        return server.wait()
    except KeyboardInterrupt:
        # The terminal has told the server too; it is draining.
        return server.wait()
    finally:
        server.terminate()
        server.wait()


def _show_demo(url: str) -> None:
    demo = subprocess.run(
        [RUNCAST, "demo", "--server", url], check=True, stdout=subprocess.PIPE, text=True
    )
    print(demo.stdout, flush=True)
    run_id = demo.stdout.split()[2]
    subprocess.run([RUNCAST, "logs", "--follow", "--server", url, run_id], check=True)
    print(f"\n\nruncast is at {url} (try {url}/api/v1/runs). Ctrl-C stops it.", flush=True)


def _wait_for_address(server: "subprocess.Popen[str]") -> str | None:
    assert server.stdout is not None
    for line in server.stdout:
        print(line, end="", flush=True)
        if found := LISTENING.search(line):
            return found[1]
    return None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())

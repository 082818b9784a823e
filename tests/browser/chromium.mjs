// A Chromium that talks to nobody but the tests.
import { chromium } from "playwright-core";

const ARGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-proxy-server",
];

/** Start the browser; `names` are host names that mean this machine. */
export function launch(executablePath, names = []) {
  const rules = names.map((name) => `MAP ${name} 127.0.0.1`).join(",");
  return chromium.launch({ executablePath, args: [...ARGS, `--host-resolver-rules=${rules}`] });
}

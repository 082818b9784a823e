// Opens each page in Chromium and has it try every attack; tells what the pages learned and what
// the server was asked and answered.
import { once } from "node:events";
import http from "node:http";
import { ATTACKS } from "./attacks.mjs";
import { launch } from "./chromium.mjs";
import { tap } from "./wiretap.mjs";

const { chromium, server_port, tap_port, site_port, markers } = JSON.parse(process.argv[2]);

const own = `http://127.0.0.1:${tap_port}`;
const local = `http://localhost:${tap_port}`;
const any = `http://0.0.0.0:${tap_port}`;
const rebound = `http://rebind.test:${tap_port}`;

/** Name of a page -> where it is, and how it calls the server. */
const PAGES = {
  "of another port": { at: `http://127.0.0.1:${site_port}/`, api: own },
  "of another site": { at: `http://evil.test:${site_port}/`, api: own },
  "of no origin": { at: `http://127.0.0.1:${site_port}/sandboxed`, api: own },
  "for any address": { at: `http://evil.test:${site_port}/`, api: any },
  "at any address": { at: `${any}/healthz`, api: any },
  "of a rebound name": { at: `${rebound}/healthz`, api: rebound },
  "of a listed origin": { at: `http://localhost:${site_port}/`, api: local },
  "of its own": { at: `${own}/healthz`, api: own },
};

async function attackFrom(page, name, api) {
  const learned = {};
  for (const [attack, [act, path]] of Object.entries(ATTACKS)) {
    const url = `${api}${path}?${new URLSearchParams({ page: name, attack })}`;
    const command = ["touch", `${markers}/${attack} ${name}`];
    learned[attack] = await page.evaluate(act, { url, command, attack });
  }
  return learned;
}

const site = http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  if (request.url === "/sandboxed") {
    response.setHeader("Content-Security-Policy", "sandbox allow-scripts allow-forms");
  }
  response.end("<!doctype html><title>harmless</title><body></body>");
});
site.listen(site_port, "127.0.0.1");
await once(site, "listening");

const wire = await tap(tap_port, server_port);
const browser = await launch(chromium, ["evil.test", "rebind.test"]);
const learned = {};
for (const [name, { at, api }] of Object.entries(PAGES)) {
  // At the server's own port the server itself gave the page, with a policy that forbids it
  // everything. A page that an attacker brought there by rebinding a name has no such policy.
  const context = await browser.newContext({ bypassCSP: at.startsWith(api) });
  const page = await context.newPage();
  await page.goto(at);
  learned[name] = await attackFrom(page, name, api);
  await context.close();
}
await browser.close();
site.close();
process.stdout.write(JSON.stringify({ learned, exchanges: await wire.close() }));

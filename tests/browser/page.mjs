// A page of the server's own origin that the server never sees.
import { launch } from "./chromium.mjs";

/** Start Chromium, for the caller to close, and open an empty page where `url` is. */
export async function openPage(chromium, url) {
  const address = new URL("/page", url.replace(/^ws/, "http")).href;
  const browser = await launch(chromium);
  // A page that comes from nowhere must ask before it opens a socket to this machine.
  const page = await browser.newPage({ permissions: ["local-network-access"] });
  // The page comes from here, so that no cut is spent on it.
  await page.route(address, (route) => route.fulfill({ contentType: "text/html", body: "" }));
  await page.goto(address);
  await page.unroute(address);
  return { browser, page };
}

// The WebSocket of Chromium, in one page of the server's own origin: one for each socket.
import { openPage } from "./page.mjs";
import { positionsAt } from "./positions.mjs";
import { followSocket } from "./sockets.mjs";

const { chromium, sockets, events_url } = JSON.parse(process.argv[2]);

const { browser, page } = await openPage(chromium, sockets[0].url);
await page.exposeFunction("positionOf", positionsAt(events_url));
const followed = await Promise.all(sockets.map((socket) => page.evaluate(followSocket, socket)));
await browser.close();
process.stdout.write(JSON.stringify(followed));

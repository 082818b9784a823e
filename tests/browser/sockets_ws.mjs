// Clients of the npm package `ws`, one for each socket.
import WebSocket from "ws";
import { positionsAt } from "./positions.mjs";
import { followSocket } from "./sockets.mjs";

const { sockets, events_url } = JSON.parse(process.argv[2]);

globalThis.WebSocket = WebSocket;
globalThis.positionOf = positionsAt(events_url);
process.stdout.write(JSON.stringify(await Promise.all(sockets.map(followSocket))));

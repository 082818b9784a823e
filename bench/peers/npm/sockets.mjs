// One command's lines over WebSocket with ws: a message per line on /plain; on /batch an array of
// what came in so many ms (0: of what one read of the pipe gave). node sockets.mjs MS COMMAND...
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";

import { WebSocketServer } from "ws";

const [pause, program, ...words] = process.argv.slice(2);
const id = randomUUID();
const plain = new Set();
const batch = new Set();
const sockets = { "/plain": plain, "/batch": batch };
const later = Number(pause) ? (work) => setTimeout(work, Number(pause)) : setImmediate;
let waiting = [];

function flush() {
  const text = JSON.stringify(waiting);
  waiting = [];
  for (const socket of batch) socket.send(text);
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("connection", (socket, request) => {
  const others = sockets[request.url];
  others.add(socket);
  socket.on("close", () => others.delete(socket));
  socket.send("welcome");
});
server.on("listening", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = { run_id: id, stream: "stdout", line, timestamp: new Date().toISOString() };
    if (plain.size) {
      const text = JSON.stringify(event);
      for (const socket of plain) socket.send(text);
    }
    if (batch.size) {
      if (!waiting.length) later(flush);
      waiting.push(event);
    }
  });
});

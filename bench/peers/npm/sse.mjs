// Jobs as an Express application streams them with better-sse: a channel per job.
// POST /jobs with a command starts it; GET /jobs/ID/stream has its lines from now on.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";

import { createChannel, createSession } from "better-sse";
import express from "express";

const jobs = new Map();
const app = express();

app.post("/jobs", express.json(), (request, response) => {
  const id = randomUUID();
  const [program, ...words] = request.body.command;
  const channel = createChannel();
  jobs.set(id, channel);
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  let number = 0;
  createInterface({ input: child.stdout }).on("line", (line) => {
    number += 1;
    const timestamp = new Date().toISOString();
    const data = { run_id: id, stream: "stdout", line, timestamp };
    channel.broadcast(data, "log", { eventId: String(number) });
  });
  response.json({ data: { jobId: id } });
});

app.get("/jobs/:id/stream", async (request, response) => {
  const session = await createSession(request, response);
  jobs.get(request.params.id).register(session);
});

const listener = app.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${listener.address().port}`);
});

// Clients of the npm package `eventsource`, one for each stream.
import { EventSource } from "eventsource";
import { follow, lateRequests } from "./follow.mjs";

const { streams, longest_retry_ms } = JSON.parse(process.argv[2]);
const answers = [];

async function counted(address, options) {
  const number = answers.push(0) - 1;
  const answer = await fetch(address, options);
  answers[number] = answer.status;
  return answer;
}

globalThis.EventSource = class extends EventSource {
  constructor(address) {
    super(address, { fetch: counted });
  }
};

const followed = await Promise.all(streams.map(follow));
const late = await lateRequests(answers, longest_retry_ms);
process.stdout.write(JSON.stringify({ followed, answers, late }));

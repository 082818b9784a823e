// Clients of the npm package `@microsoft/fetch-event-source`, one for each stream.
import { EventStreamContentType, fetchEventSource } from "@microsoft/fetch-event-source";
import { lateRequests } from "./follow.mjs";

const { streams, longest_retry_ms } = JSON.parse(process.argv[2]);
const answers = [];

// It takes a page for granted.
globalThis.window = globalThis;
globalThis.document = new EventTarget();

/** Follow a stream as the package's README does; 204 means nothing to it, `last` does. */
async function follow({ url, last }) {
  const control = new AbortController();
  const frames = [];
  let errors = 0;
  await fetchEventSource(url, {
    signal: control.signal,
    async onopen(response) {
      answers.push(response.status);
      if (response.ok && response.headers.get("content-type") === EventStreamContentType) {
        return;
      }
      throw new Error(`answered ${response.status}`);
    },
    onmessage(message) {
      frames.push([message.event || "message", message.data, message.id]);
      if (message.data.includes(last)) {
        control.abort();
      }
    },
    onclose() {
      throw new Error("closed");
    },
    onerror() {
      errors += 1;
    },
  });
  return { frames, errors };
}

const followed = await Promise.all(streams.map(follow));
const late = await lateRequests(answers, longest_retry_ms);
process.stdout.write(JSON.stringify({ followed, answers, late }));

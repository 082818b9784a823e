// The EventSource of Chromium, in one page of the streams' own origin: one for each stream.
import { follow, lateRequests } from "./follow.mjs";
import { openPage } from "./page.mjs";

const { chromium, streams, longest_retry_ms } = JSON.parse(process.argv[2]);
const answers = [];

const { browser, page } = await openPage(chromium, streams[0].url);
page.on("request", (request) => {
  const number = answers.push(0) - 1;
  request.response().then((answer) => (answers[number] = answer?.status() ?? 0));
});

const followed = await Promise.all(streams.map((stream) => page.evaluate(follow, stream)));
const late = await lateRequests(answers, longest_retry_ms);
await browser.close();
process.stdout.write(JSON.stringify({ followed, answers, late }));

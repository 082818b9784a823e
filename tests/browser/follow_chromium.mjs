// Several EventSource of one Chromium page follow one stream of the page's own origin.
import { launch } from "./chromium.mjs";
import { follow, lateRequests } from "./follow.mjs";

const { chromium, url, names, clients, longest_retry_ms } = JSON.parse(process.argv[2]);
const page_url = new URL("/page", url).href;
const answers = [];

const browser = await launch(chromium);
const page = await browser.newPage();
// The page comes from here, so that no cut is spent on it.
await page.route(page_url, (route) => route.fulfill({ contentType: "text/html", body: "" }));
await page.goto(page_url);
await page.unroute(page_url);
page.on("request", (request) => {
  const number = answers.push(0) - 1;
  request.response().then((answer) => (answers[number] = answer?.status() ?? 0));
});

const followers = Array.from({ length: clients }, () => page.evaluate(follow, { url, names }));
const followed = await Promise.all(followers);
const late = await lateRequests(answers, longest_retry_ms);
await browser.close();
process.stdout.write(JSON.stringify({ followed, answers, late }));

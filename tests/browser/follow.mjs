// What every EventSource client of the tests does.

/**
 * Follow a stream through all its reconnections until the client itself closes for good.
 * Runs in Node and, sent as text, inside a page: it must use nothing but its arguments.
 */
export function follow({ url, names }) {
  return new Promise((resolve) => {
    const frames = [];
    let errors = 0;
    const source = new EventSource(url);
    for (const name of names) {
      source.addEventListener(name, (event) => {
        frames.push([event.type, event.data, event.lastEventId]);
      });
    }
    source.addEventListener("error", () => {
      errors += 1;
      if (source.readyState === source.CLOSED) {
        resolve({ frames, errors });
      }
    });
  });
}

/** Count the requests that still come once all clients are closed; `answers` grows with each. */
export async function lateRequests(answers, longestRetryMs) {
  const before = answers.length;
  await new Promise((resolve) => setTimeout(resolve, longestRetryMs));
  return answers.length - before;
}

// What every EventSource client of the tests does.

/**
 * Follow a stream through all its reconnections: one that `closes` until the client itself closes
 * for good, another until an event whose data contains `last`.
 * Runs in Node and, sent as text, inside a page: it must use nothing but its arguments.
 */
export function follow({ url, names, last, closes }) {
  return new Promise((resolve) => {
    const frames = [];
    let errors = 0;
    const source = new EventSource(url);
    function take(event) {
      frames.push([event.type, event.data, event.lastEventId]);
      if (!closes && event.data.includes(last)) {
        source.close();
        resolve({ frames, errors });
      }
    }
    for (const name of names) {
      source.addEventListener(name, take);
    }
    source.addEventListener("error", (event) => {
      // An event that the server calls so arrives by the same name.
      if (event.data !== undefined) {
        take(event);
        return;
      }
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

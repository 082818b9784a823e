// Where the events of a run stand among those of all runs.

/** Return what looks up the position of an event by its number in the run. */
export function positionsAt(eventsUrl) {
  return async (seq) => {
    const answer = await fetch(`${eventsUrl}?after=${seq - 1}&limit=1`);
    const { events } = await answer.json();
    return events[0].position;
  };
}

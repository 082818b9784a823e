// What every WebSocket client of the tests does.

/**
 * Follow a socket until a message that contains `last`; after each cut, subscribe behind the last
 * position. Messages without one have it looked up by `positionOf(seq)`, which the client brings.
 * Runs in Node and, sent as text, inside a page: it must use nothing else but its arguments.
 */
export function followSocket({ url, subscribe, last }) {
  const messages = [];
  let after = 0;
  let cuts = 0;
  let done = false;

  async function behind({ position, sequenceNumber }) {
    return position ?? (await positionOf(sequenceNumber));
  }

  return new Promise((resolve) => {
    function connect() {
      const socket = new WebSocket(url);
      socket.addEventListener("open", () => socket.send(JSON.stringify({ ...subscribe, after })));
      socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        if (message.type !== "subscription_confirmed") {
          messages.push(message);
        }
        if (data.includes(last)) {
          done = true;
          socket.close();
          resolve({ messages, cuts });
        }
      });
      socket.addEventListener("error", () => {});
      socket.addEventListener("close", async () => {
        if (!done) {
          cuts += 1;
          after = messages.length ? await behind(messages.at(-1)) : 0;
          connect();
        }
      });
    }
    connect();
  });
}

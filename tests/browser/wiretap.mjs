// Between browser and server: passes every byte on, and tells what was asked and answered.
import { once } from "node:events";
import net from "node:net";

const REQUEST = /(?:GET|POST|OPTIONS) (\/\S*) HTTP\/1\.1\r\n/g;
const ANSWER = /HTTP\/1\.1 (\d{3}) .*?\r\n\r\n(?:\{"error":\{"code":"(\w+)")?/gs;

/** Listen at `port` for what is meant for `target`. */
export async function tap(port, target) {
  const connections = [];
  const listener = net.createServer((client) => {
    const server = net.connect(target, "127.0.0.1");
    const said = { asked: "", answered: "" };
    connections.push(said);
    client.on("data", (bytes) => {
      said.asked += bytes.toString("latin1");
      server.write(bytes);
    });
    server.on("data", (bytes) => {
      said.answered += bytes.toString("latin1");
      // A browser hangs up on an answer that it may not use; the rest of it counts all the same.
      if (client.writable) client.write(bytes);
    });
    client.on("error", () => {}).on("close", () => server.end());
    server.on("error", () => {}).on("close", () => client.destroy());
  });
  listener.listen(port, "127.0.0.1");
  await once(listener, "listening");

  /** Wait for the end of all connections and return what was said on them. */
  async function close() {
    listener.close();
    await once(listener, "close");
    return connections.flatMap(exchanges);
  }
  return { close };
}

/** Pair the requests of a connection with their answers, which come in the same order. */
function exchanges({ asked, answered }) {
  const answers = [...answered.matchAll(ANSWER)];
  return [...asked.matchAll(REQUEST)].map(([, target], number) => {
    const [, status = "none", code = ""] = answers[number] ?? [];
    const query = new URL(target, "http://server").searchParams;
    const answer = `${status} ${code}`.trim();
    return { page: query.get("page") ?? "", attack: query.get("attack") ?? "", answer };
  });
}

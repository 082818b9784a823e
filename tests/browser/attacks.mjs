// What a web page can try on a server of this machine, and what it would learn by that.
//
// Each attack runs inside the page, sent as text: it must use nothing but its argument. It
// returns what the page could read, or null.

/** Post a form; as text/plain its body is the JSON of a run. */
function submitForm({ url, command, attack }) {
  const encodings = {
    "text form": "text/plain",
    "urlencoded form": "application/x-www-form-urlencoded",
    "multipart form": "multipart/form-data",
  };
  const answer = Object.assign(document.createElement("iframe"), { name: "answer" });
  const form = Object.assign(document.createElement("form"), {
    action: url,
    method: "POST",
    enctype: encodings[attack],
    target: "answer",
  });
  const field = document.createElement("input");
  [field.name, field.value] = JSON.stringify({ command, metadata: { a: "=" } }).split("=");
  form.append(field);
  document.body.append(answer, form);
  return new Promise((resolve) => {
    answer.addEventListener("load", () => {
      let text = null;
      try {
        text = answer.contentDocument.body.textContent;
      } catch {
        // A document of another origin.
      }
      resolve(text);
    });
    form.submit();
  }).finally(() => answer.remove());
}

function post({ url, command, attack }) {
  const body = JSON.stringify({ command });
  const options = {
    "opaque post": { mode: "no-cors" },
    "json post": { headers: { "Content-Type": "application/json" } },
  };
  return fetch(url, { method: "POST", body, ...options[attack] }).then(
    (answer) => answer.text(),
    () => null,
  );
}

function read({ url, attack }) {
  const mode = attack === "opaque read" ? "no-cors" : "cors";
  return fetch(url, { mode }).then(
    (answer) => answer.text(),
    () => null,
  );
}

function follow({ url }) {
  const source = new EventSource(url);
  return new Promise((resolve) => {
    source.addEventListener("log", (event) => resolve(event.data));
    source.addEventListener("error", () => resolve(null));
  }).finally(() => source.close());
}

function openSocket({ url }) {
  const socket = new WebSocket(url.replace("http", "ws"));
  return new Promise((resolve) => {
    socket.addEventListener("message", (event) => resolve(event.data));
    socket.addEventListener("close", () => resolve(null));
  });
}

/** Embed what the API says as if it were an image, a script or a page. */
function embed({ url, attack }) {
  const tags = { image: "img", script: "script", frame: "iframe" };
  const element = document.createElement(tags[attack]);
  element.src = url;
  return new Promise((resolve) => {
    element.addEventListener("error", () => resolve(null));
    element.addEventListener("load", () => {
      let text = attack === "frame" ? null : "loaded";
      try {
        text = element.contentDocument.body.textContent;
      } catch {
        // A document of another origin, or no document at all.
      }
      resolve(text);
    });
    document.body.append(element);
  }).finally(() => element.remove());
}

const RUNS = "/api/v1/runs";
const STREAM = "/api/v1/runs/secret/stream";

/** Name of an attack -> what the page does, and on which path. */
export const ATTACKS = {
  "text form": [submitForm, RUNS],
  "urlencoded form": [submitForm, RUNS],
  "multipart form": [submitForm, RUNS],
  "opaque post": [post, RUNS],
  "json post": [post, RUNS],
  read: [read, RUNS],
  "opaque read": [read, RUNS],
  "event source": [follow, STREAM],
  "web socket": [openSocket, STREAM],
  image: [embed, RUNS],
  script: [embed, RUNS],
  frame: [embed, RUNS],
};

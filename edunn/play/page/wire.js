// The one file of the page that knows HTTP: questions to the server, and its answers.
//
// A question goes by POST with the token of the printed address. Of each kind at most one is under way and one waits:
// while a slider moves, the questions in between are dropped, and an answer that is no longer asked for is not drawn.

const token = takeToken();

// Moves the token from the address into the session's storage, so that a shared address does not hold it.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1));
  const found = given.get("token");
  if (found) {
    sessionStorage.setItem("edunn-token", found);
    given.delete("token");
    history.replaceState(null, "", given.size ? `#${given}` : location.pathname);
  }
  return found ?? sessionStorage.getItem("edunn-token") ?? "";
}

// An error whose message is the server's sentence.
export class Refusal extends Error {}

// Asks one question: returns { header, arrays }.
export async function ask(kind, body = {}) {
  let response;
  try {
    response = await fetch(`/ask/${kind}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Edunn-Token": token },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Refusal("The server does not answer. Start edunn play again.");
  }
  if (!response.ok) {
    const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
    throw new Refusal(answer.error);
  }
  return unpack(await response.arrayBuffer());
}

// The header's length, the header as JSON, and float32 numbers: see server.py.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const arrays = header.lengths.map((count) => {
    const array = new Float32Array(buffer, at, count);
    at += 4 * count;
    return array;
  });
  return { header, arrays };
}

// Returns a function that asks the latest question only: it resolves to null for one that a later one replaced.
export function latest(kind) {
  let busy = false;
  let waiting = null;
  return function next(body) {
    waiting?.resolve(null);
    waiting = null;
    if (busy)
      return new Promise((resolve, reject) => {
        waiting = { body, resolve, reject };
      });
    busy = true;
    return ask(kind, body)
      .then((answer) => (waiting ? null : answer))
      .finally(() => {
        busy = false;
        if (waiting) {
          const { body: later, resolve, reject } = waiting;
          waiting = null;
          next(later).then(resolve, reject);
        }
      });
  };
}

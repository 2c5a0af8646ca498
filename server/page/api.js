// The server's REST interface. Every function throws `Problem`.

/** What the server tells programs about what to do, said to people at the console. */
const WORDS = {
  "unknown-camera": "No frame of a camera of this name was ever stored. The wall shows the cameras that there are.",
  "unknown-frame": "The camera has no such frame, or no longer.",
  unauthenticated: "Your login has ended. Log in to go on.",
  "invalid-range": "This time ends before it begins. Choose an end that is later.",
};

/** A problem document (RFC 9457), or a server that cannot be reached (status 0). */
export class Problem extends Error {
  constructor(title, detail, status, type = "", retryAfter = null) {
    const kind = type.replace("/problems/", "");
    super(WORDS[kind] ?? detail);
    this.title = title;
    this.status = status;
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

const MOST_TURNS = 10; // after which a busy server is told of
const TURN = 2; // seconds, where the server does not say

let unauthenticated = () => {};

/** `listener` is called when the server no longer knows who asks. */
export function onUnauthenticated(listener) {
  unauthenticated = listener;
}

/** The response to any request; `headers` and `signal` as fetch takes them. */
export async function ask(address, { method = "GET", accept = "application/json", body, headers, signal } = {}) {
  let response;
  try {
    response = await fetch(address, {
      method,
      headers: { Accept: accept, ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    throw unreached(error);
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) unauthenticated();
  throw new Problem(
    problem.title ?? `The server answered ${response.status}`,
    problem.detail ?? response.statusText,
    response.status,
    problem.type,
    Number(response.headers.get("Retry-After")) || null,
  );
}

/** What comes with a response, read by one of its methods: "blob", "json" or "text". It may break off, too. */
export async function read(response, as) {
  try {
    return await response[as]();
  } catch (error) {
    throw unreached(error);
  }
}

/** A connection that failed is a `TypeError`; whatever else went wrong stays what it is. */
function unreached(error) {
  if (!(error instanceof TypeError)) return error;
  return new Problem("The server cannot be reached", "Check that it runs; the console goes on by itself.", 0);
}

/** A JSON document. */
export async function get(address, options) {
  return read(await ask(address, options), "json");
}

/** Send a body by POST, PUT, PATCH or DELETE; gives the JSON document of the answer, null when it has none. */
export async function send(method, address, body, headers) {
  const text = await read(await ask(address, { method, body, headers }), "text");
  return text ? JSON.parse(text) : null;
}

/** A picture as an ImageBitmap, decoded off the main thread. */
export async function picture(address, options) {
  return createImageBitmap(await read(await ask(address, { accept: "image/jpeg", ...options }), "blob"));
}

/** A picture, waited for while the server makes as many as it can: `waiting` is told the seconds until it is asked anew. */
export async function pictureInTurn(address, options, waiting) {
  for (let busy = 1; ; busy += 1) {
    try {
      return await picture(address, options);
    } catch (problem) {
      if (problem.kind !== "views-busy" || busy > MOST_TURNS) throw problem;
      const seconds = problem.retryAfter ?? TURN;
      waiting(seconds);
      await pause(1000 * seconds, options.signal);
    }
  }
}

/** Milliseconds to wait; a signal that is aborted ends them with its reason. */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** Address of a camera, with further parts of the path. */
export function ofCamera(camera, ...parts) {
  return ["/v1/cameras", ...[camera, ...parts].map(encodeURIComponent)].join("/");
}

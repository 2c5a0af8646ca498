// The server's REST interface. Every function throws `Problem`.

/** A problem document (RFC 9457), or a server that cannot be reached (status 0). */
export class Problem extends Error {
  constructor(title, detail, status, type = "", retryAfter = null) {
    super(detail);
    this.title = title;
    this.status = status;
    this.kind = type.replace("/problems/", "");
    this.retryAfter = retryAfter;
  }
}

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
export async function picture(address, signal) {
  return createImageBitmap(await read(await ask(address, { accept: "image/jpeg", signal }), "blob"));
}

/** Address of a camera, with further parts of the path. */
export function ofCamera(camera, ...parts) {
  return ["/v1/cameras", ...[camera, ...parts].map(encodeURIComponent)].join("/");
}

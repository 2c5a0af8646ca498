// The server's REST interface, as far as the page needs it.

/** A problem document (RFC 9457), or a server that cannot be reached. */
export class Problem extends Error {
  constructor(title, detail, status, type = "") {
    super(detail);
    this.title = title;
    this.status = status;
    this.kind = type.replace("/problems/", "");
  }
}

async function ask(address, accept, method = "GET", content = undefined) {
  const headers = { Accept: accept, ...(content && { "Content-Type": "application/json" }) };
  let response;
  try {
    response = await fetch(address, { method, headers, body: content && JSON.stringify(content) });
  } catch {
    throw new Problem("The server cannot be reached", "Check that it runs; the page goes on by itself.", 0);
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Problem(
      problem.title ?? `The server answered ${response.status}`,
      problem.detail ?? response.statusText,
      response.status,
      problem.type,
    );
  }
  return response;
}

/** Whether the server asks who is there, and who is logged in. */
export async function session() {
  return (await ask("/v1/session", "application/json")).json();
}

export async function beginSession(name, password, newPassword) {
  const login = { name, password, ...(newPassword && { new_password: newPassword }) };
  return (await ask("/v1/session", "application/json", "POST", login)).json();
}

export async function endSession() {
  // To its end: the page is loaded anew behind it, which would cut the answer off.
  await (await ask("/v1/session", "application/json", "DELETE")).text();
}

export async function cameras() {
  return (await (await ask("/v1/cameras", "application/json")).json()).cameras;
}

/** The newest frames of a camera, newest first. */
export async function frames(camera, limit) {
  return (await (await ask(`${camera.frames}?limit=${limit}`, "application/json")).json()).frames;
}

/** A view as a bitmap. */
export async function view(address) {
  return createImageBitmap(await (await ask(address, "image/jpeg")).blob());
}

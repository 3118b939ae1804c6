// What the page asks of the server, and what it hears.

/** The address of something: address("messages", {user, folder, uid: [1, 2]}). */
export function address(name, query = {}) {
  const asked = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const each of [value].flat()) if (each !== null && each !== undefined) asked.append(key, each);
  }
  return `/api/${name}?${asked}`;
}

async function answer(response) {
  if (response.ok) return response;
  let text = `${response.status} ${response.statusText}`;
  try {
    text = (await response.json()).error;
  } catch {
    // not one of our own answers
  }
  throw Object.assign(new Error(text), { status: response.status });
}

export async function get(name, query) {
  return (await answer(await fetch(address(name, query)))).json();
}

export async function text(name, query) {
  return (await answer(await fetch(address(name, query)))).text();
}

/** The value of a header field of an answer. */
export async function field(name, query, wanted) {
  return (await answer(await fetch(address(name, query)))).headers.get(wanted);
}

/** Change something. The header field shows that it is this page who wants it. */
export async function post(name, query) {
  return (await answer(await fetch(address(name, query), { method: "POST", headers: { "X-Mailpost": "1" } }))).json();
}

/** Hear what happens: `hear` has a function for each event, and `lost` and `back`. Close what is answered to end it. */
export function listen(user, hear) {
  const source = new EventSource(address("events", { user }));
  for (const event of ["users", "folders", "changed"]) {
    source.addEventListener(event, (message) => hear[event](JSON.parse(message.data)));
  }
  source.onerror = () => hear.lost();
  source.onopen = () => hear.back();
  return source;
}

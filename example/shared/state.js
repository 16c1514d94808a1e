// The state line at the foot of each example: transport, joined and refused rooms, number of messages.

const line = document.getElementById("state");
const connection = line.querySelector("[data-connection]");
const rooms = line.querySelector("[data-rooms]");
const messages = line.querySelector("[data-messages]");

function show(text, connected = false) {
  connection.textContent = text;
  connection.classList.toggle("connected", connected);
}

// Fetches the settings from the page's own server: the URL of ws-emit and the secrets of rooms. Tries until it responds.
export async function settings() {
  for (;;) {
    let problem = "the example's server does not answer, is it still running?";
    try {
      const answer = await fetch("settings.json");
      const value = await answer.json();
      if (answer.ok) return value;
      problem = value.problem;
    } catch { /* the sentence above says it */ }
    show(problem);
    await new Promise(resolve => setTimeout(resolve, 1000));
  }
}

// Sends cookies, so that a load balancer can lead all requests of this page to the same ws-emit (example/cluster).
// ?transport=polling or ?transport=websocket uses only that transport.
export function clientOptions() {
  const only = new URLSearchParams(location.search).get("transport");
  return only ? {withCredentials: true, transports: [only]} : {withCredentials: true};
}

// Shows the connection of a socket and counts its events.
export function watch(socket, url) {
  let seen = 0;
  const transport = () => show("connected by " + socket.io.engine.transport.name, true);
  socket.on("connect", () => {
    transport();
    socket.io.engine.on("upgrade", transport);
  });
  socket.on("disconnect", reason => {
    show("disconnected: " + reason);
    rooms.replaceChildren();
  });
  socket.on("connect_error", problem =>
    show(`no connection to ${url} (${problem.message}); is ws-emit running, with --cors ${location.origin}?`));
  socket.onAny(() => messages.textContent = ++seen === 1 ? "1 message" : `${seen} messages`);
}

// Shows the ack of a join: {ok: true}, or {ok: false, error: reason}. The Python ws-emit sends no value.
export function joined(room, answer) {
  left(room);
  const refusal = answer?.ok === false ? answer.error : null;
  const item = document.createElement("li");
  item.dataset.room = room;
  item.className = refusal ? "refused" : "joined";
  item.textContent = refusal ? `${room} refused: ${refusal}` : `${room} joined`;
  rooms.append(item);
}

export function left(room) {
  for (const item of [...rooms.children]) if (item.dataset.room === room) item.remove();
}

if (!window.io) {
  show("the Socket.IO client could not be loaded; without a network, name a copy of it with SOCKET_IO_JS");
  throw new Error("socket.io.min.js is missing");
}

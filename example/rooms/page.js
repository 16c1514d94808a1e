import {clientOptions, joined, settings, watch} from "./state.js";

const {ws_emit_url: url, team_secret: teamSecret} = await settings();
const socket = io(url, clientOptions());
watch(socket, url);

const panel = room => document.querySelector(`.panel[data-room="${CSS.escape(room)}"]`);

function join(room, secret) {
  socket.emit("join", {room, secret}, answer => {
    joined(room, answer);
    const badge = panel(room).querySelector(".badge");
    const isRefused = answer?.ok === false;
    badge.className = "badge " + (isRefused ? "refused" : "joined");
    badge.textContent = isRefused ? "refused" : "joined";
    if (room !== "vault::plans") return;
    panel(room).querySelector(".reason").textContent = isRefused ? `ws-emit answered: ${answer.error}.` : "";
    document.getElementById("knock").hidden = !isRefused;
  });
}

let vaultSecret = "a guess";

socket.on("connect", () => {
  join("news");
  join("team::chat", teamSecret);
  join("vault::plans", vaultSecret);
});

document.getElementById("knock").addEventListener("submit", event => {
  event.preventDefault();
  vaultSecret = document.getElementById("secret").value;
  join("vault::plans", vaultSecret);
});

socket.on("update", ({room, text}) => {
  const list = panel(room)?.querySelector("ol");
  if (!list) return;
  const item = document.createElement("li");
  item.textContent = text;
  list.prepend(item);
  while (list.children.length > 4) list.lastChild.remove();
});

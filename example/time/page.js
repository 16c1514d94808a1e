import {clientOptions, joined, settings, watch} from "./state.js";

const {ws_emit_url: url} = await settings();
const socket = io(url, clientOptions());
watch(socket, url);

socket.on("connect", () => socket.emit("join", {room: "time"}, answer => joined("time", answer)));

socket.on("update", data => {
  document.getElementById("time").textContent = data.time;
  const date = new Date(data.time * 1000);
  document.getElementById("date").textContent = isNaN(date) ? "" : date.toLocaleString(undefined, {dateStyle: "full", timeStyle: "medium"});
});

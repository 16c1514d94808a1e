import {plainName, readableSize, showName} from "./names.js";
import {clientOptions, joined, left, settings, watch} from "./state.js";

const byId = name => document.getElementById(name);
const first = await settings();
byId("directory").textContent = first.directory;
const url = first.ws_emit_url;
let secret = first.secret;

const socket = io(url, clientOptions());
watch(socket, url);
const join = (room, then) => socket.emit("join", {room, secret}, answer => { joined(room, answer); then?.(); });
const leave = room => socket.emit("leave", {room}, () => left(room));

// A lost connection ends memberships, and the secret may have changed since.
socket.on("connect", async () => {
  secret = (await settings()).secret;
  join("dir::/", load);
  if (open) join("dir::" + open, read);
});

// The list: fetched after the join. Each later message holds the changes since the one before.

const rows = new Map();
let version = null;
let isLoading = false;
let isStale = false;

async function load() {
  isStale = true;
  if (isLoading) return;
  isLoading = true;
  try {
    while (isStale) {
      isStale = false;
      const list = await (await fetch("files")).json();
      const there = new Set(list.changed.map(file => file.id));
      [...rows.keys()].filter(id => !there.has(id)).forEach(remove);
      apply(list, rows.size > 0);
    }
  } catch { /* the server is down: the next message or connection fetches again */ }
  isLoading = false;
}

socket.on("files", news => {
  if (version !== null && news.version <= version) return;
  if (!isLoading && news.version === version + 1) return apply(news, true);
  // A gap in the numbers: a message was missed.
  load();
  if (open) read();
});

function apply(news, isFresh) {
  version = news.version;
  news.gone.forEach(remove);
  for (const file of news.changed) put(file, isFresh);
  byId("count").textContent = rows.size === 1 ? "1 file" : `${rows.size} files`;
  byId("note").textContent = news.problem ?? [
    rows.size ? "" : "No file yet: make one, and it appears here.",
    news.others ? `Not shown: ${news.others} more (links, folders, devices, or files beyond the first thousand).` : "",
  ].join(" ").trim();
}

const order = new Intl.Collator(undefined, {numeric: true});

function put(file, isFresh) {
  let row = rows.get(file.id);
  if (!row) {
    row = makeRow(file.id);
    rows.set(file.id, row);
    const after = [...byId("files").children].find(other => order.compare(other.dataset.name, row.dataset.name) > 0);
    byId("files").insertBefore(row, after ?? null);
  }
  row.querySelector(".size").textContent = readableSize(file.size);
  row.title = "changed " + new Date(file.modified).toLocaleString();
  row.classList.remove("fresh");
  if (isFresh) {
    void row.offsetWidth;  // starts the animation anew
    row.classList.add("fresh");
  }
}

function makeRow(id) {
  const row = document.createElement("li");
  row.dataset.name = plainName(id);
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-expanded", String(id === open));
  const label = document.createElement("span");
  label.className = "label";
  showName(label, id);
  const size = document.createElement("span");
  size.className = "size";
  button.append(label, size);
  button.addEventListener("click", () => show(id));
  row.append(button);
  return row;
}

function remove(id) {
  rows.get(id)?.remove();
  rows.delete(id);
}

// The open file; at most one at a time.

let open = null;
let isPushed = false;

function show(id) {
  if (open === id) return byId("file-title").focus();
  if (open) close();
  open = id;
  showName(byId("file-title"), id);
  byId("content").textContent = "";
  byId("file-note").textContent = "…";
  byId("file").hidden = false;
  byId("file").classList.remove("gone");
  rows.get(id)?.firstChild.setAttribute("aria-expanded", "true");
  byId("file-title").focus();
  join("dir::" + id, read);
}

function close() {
  const id = open;
  open = null;
  leave("dir::" + id);
  byId("file").hidden = true;
  const button = rows.get(id)?.firstChild;
  button?.setAttribute("aria-expanded", "false");
  return button;
}

byId("close").addEventListener("click", () => close()?.focus());
document.addEventListener("keydown", event => { if (event.key === "Escape" && open) close()?.focus(); });

// Fetched after the join, so that no change is missed. A message that came meanwhile is newer than the response.
async function read() {
  const id = open;
  if (!id) return;
  isPushed = false;
  let file;
  try {
    const answer = await fetch("file?id=" + encodeURIComponent(id));
    file = await answer.json();
    if (answer.status === 404) file = {id, gone: true};
  } catch {
    file = {id, problem: "the example's server does not answer"};
  }
  if (id === open && !isPushed) display(file);
}

socket.on("file", file => {
  if (file.id !== open) return;
  isPushed = true;
  display(file);
});

function display(file) {
  const content = byId("content");
  byId("file").classList.toggle("gone", Boolean(file.gone));
  if (file.gone) return byId("file-note").textContent = "This file is gone.";
  const isCut = file.size > 64 << 10;
  byId("file-note").textContent =
    file.problem ? `Its ${readableSize(file.size ?? 0)} are not shown: ${file.problem}.`
    : !file.size ? "This file is empty."
    : isCut ? `The last 64 kB of ${readableSize(file.size)}.` : "";
  // Keeps the end of a growing log in view.
  const isAtEnd = content.scrollTop + content.clientHeight >= content.scrollHeight - 4;
  const follows = isAtEnd && (isCut || content.scrollHeight > content.clientHeight);
  content.textContent = file.text ?? "";
  if (follows) content.scrollTop = content.scrollHeight;
}

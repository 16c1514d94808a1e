import {clientOptions, joined, settings, watch} from "./state.js";

const {ws_emit_url: url, articles} = await settings();
const socket = io(url, clientOptions());
watch(socket, url);

// The articles. Only messages fill in values, those that ws-emit kept and newer ones alike.

const money = new Intl.NumberFormat(undefined, {style: "currency", currency: "EUR"});
const clock = moment => new Date(moment).toLocaleTimeString(undefined, {hour: "numeric", minute: "2-digit", second: "2-digit"});
const cards = new Map(articles.map(article => [article.sku, makeCard(article)]));
document.getElementById("articles").append(...[...cards.values()].map(card => card.element));

function makeCard({sku, name, unit}) {
  const element = document.getElementById("article").content.firstElementChild.cloneNode(true);
  element.dataset.sku = sku;
  element.querySelector("h2").textContent = name;
  element.querySelector(".unit").textContent = unit;
  return {element, values: {}, changedAt: {}, part: name => element.querySelector("." + name)};
}

// Returns whether the page didn't know the value yet.
function show(event, message, isMissed) {
  const card = cards.get(message.sku);
  const value = message[event];
  if (!card || card.changedAt[event] === message.at && card.values[event] === value) return false;
  card.changedAt[event] = message.at;
  // After a time away, the difference to what the page showed. A page that has just opened has the message's word.
  const difference = value - (card.values[event] ?? message.was ?? value);
  card.values[event] = value;
  if (event === "price") {
    card.part("price").textContent = money.format(value / 100);
    mark(card.part("price-change"), difference, size => `${money.format(size / 100)} ${difference > 0 ? "up" : "down"}`);
  } else {
    card.part("stock").textContent = value === 0 ? "sold out" : value <= 5 ? `only ${value} left` : `${value} in stock`;
    card.element.dataset.stock = value === 0 ? "none" : value <= 5 ? "few" : "enough";
    card.part("level").style.setProperty("--level", Math.min(value / 30, 1));
    mark(card.part("stock-change"), difference, size => difference > 0 ? `${size} delivered` : `${size} sold`);
  }
  const last = new Date(Math.max(...Object.values(card.changedAt)));
  const time = card.element.querySelector("time");
  time.dateTime = last.toISOString();
  time.title = last.toLocaleString();
  time.textContent = clock(last);
  card.part("changed").textContent = isMissed ? "missed at" : "changed at";
  card.element.classList.toggle("missed", isMissed);
  return true;
}

function mark(element, difference, words) {
  element.textContent = difference === 0 ? "" : (difference > 0 ? "▲ " : "▼ ") + words(Math.abs(difference));
  element.classList.toggle("up", difference > 0);
  element.classList.toggle("down", difference < 0);
}

function flash({element}) {
  element.classList.remove("fresh");
  void element.offsetWidth;  // starts the animation anew
  element.classList.add("fresh");
}

// The connection, in plain words.

const news = document.getElementById("news");

function say(state, headline, text) {
  news.dataset.state = state;
  news.querySelector("strong").textContent = headline;
  news.querySelector("span").textContent = text;
}

const count = (number, one) => `${number} ${number === 1 ? one : one + "s"}`;

function duration(milliseconds) {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  return seconds < 120 ? count(seconds, "second") : count(Math.round(seconds / 60), "minute");
}

// Catching up: from a connect, or a gap of ws-emit, until the messages from before it are here. No message marks the last of
// them, so the page waits until no more come.

let catchingUp = null;
let timer;

function catchUp(sentence, isOpening = false) {
  catchingUp = {sentence, isOpening, since: Date.now(), values: new Set(), changed: new Set(), oldest: Infinity};
  say("waiting", "Live", isOpening ? "The current prices are on their way." : "What changed meanwhile is on its way.");
}

function finishIn(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(finish, milliseconds);
}

function finish() {
  const empty = [...cards.values()].filter(card => Object.keys(card.changedAt).length < 2).length;
  if (empty) {
    say("empty", "Live", `Nothing was kept of ${empty} of ${count(cards.size, "article")}; values appear as they change.`
      + " Does the server have the rules of this example?");
  } else {
    say("live", "Live", catchingUp.sentence(catchingUp));
  }
  catchingUp = null;
}

for (const event of ["price", "stock"]) {
  socket.on(event, message => {
    const isFromBefore = catchingUp !== null && message.at < catchingUp.since;
    const isOpening = isFromBefore && catchingUp.isOpening;
    const isNew = show(event, message, isFromBefore && !isOpening);
    if (isNew && !isOpening) flash(cards.get(message.sku));
    if (!isFromBefore) return;
    const name = `${event} ${message.sku}`;
    catchingUp.values.add(name);
    if (isNew) catchingUp.changed.add(name);
    catchingUp.oldest = Math.min(catchingUp.oldest, message.at);
    finishIn(500);
  });
}

const opened = ({values, oldest}) => values.size
  ? `Opened with ${count(values.size, "kept value")}, the oldest from ${clock(oldest)}.`
  : "Each change appears at once.";
// Values, not messages: with slow=latest, the newest message of an article may have taken the place of those before it.
const recovered = ({changed}) => changed.size
  ? `Caught up: ${count(changed.size, "value")} changed meanwhile.`
  : "Nothing changed meanwhile.";
const restored = ({values, changed}) => values.size
  ? `Values restored: ${changed.size} of ${values.size} had changed.`
  : "Nothing was kept, so changes of this time may be missing.";

let lostAt = null;

socket.on("connect", () => {
  const [from, to] = [lostAt, Date.now()];
  lostAt = null;
  const meanwhile = socket.recovered ? recovered : restored;
  if (from === null) catchUp(opened, true);
  else catchUp(result => `Back at ${clock(to)} after ${duration(to - from)}. ${meanwhile(result)}`);
  // Also a recovered socket joins: it isn't in the room if the connection broke before its first join arrived.
  join();
});

function join() {
  socket.emit("join", {room: "shop", gap: true}, result => {
    joined("shop", result);
    if (result?.ok === false) return say("lost", "No prices", `The server refused the room: ${result.error}.`);
    finishIn(2000);
  });
}

// ws-emit itself was cut off from Redis. If it keeps values, they come again after this event.
socket.on("ws-emit:gap", ({from, to, kept}) => {
  const gap = `From ${clock(from)} to ${clock(to)}, the server got nothing from the shop.`;
  if (!kept) return say("empty", "Live", `${gap} Changes of this time may be missing.`);
  catchUp(result => `${gap} ${restored(result)}`);
  finishIn(2000);
});

socket.on("disconnect", () => {
  lostAt = Date.now();
  clearTimeout(timer);
  if (!isAsleep) sayLost();
});

socket.on("connect_error", () => {
  if (lostAt !== null) return sayLost();
  say("lost", "No connection", "The prices appear when the server can be reached.");
});

function sayLost() {
  say("lost", "Reconnecting", `The connection was lost at ${clock(lostAt)}. The prices are from then.`);
}

// While a phone sleeps, its timers stand still. An emit makes the client notice at once that the server's pings are overdue;
// this one also brings the kept values again.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && socket.connected) socket.emit("join", {room: "shop", gap: true});
});

// Sleeping on request.

let isAsleep = false;

for (const button of document.querySelectorAll("[data-sleep]")) {
  button.addEventListener("click", () => {
    if (!socket.connected) return;
    const milliseconds = button.dataset.sleep * 1000;
    isAsleep = true;
    const [from, until] = [Date.now(), Date.now() + milliseconds];
    say("lost", "Asleep", `The connection is closed until ${clock(until)}. The prices are from ${clock(from)}.`);
    socket.io.reconnection(false);
    socket.io.engine.close();  // not socket.disconnect(), which tells the server that this socket won't come back
    setTimeout(() => {
      isAsleep = false;
      socket.io.reconnection(true);
      socket.connect();
    }, milliseconds);
  });
}

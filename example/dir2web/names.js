// A file's id is its name's bytes, percent-encoded. Names may hold anything: quotes, markup, newlines, invalid UTF-8.

function bytes(id) {
  return Uint8Array.from(id.match(/%[0-9A-F]{2}|[^%]/g) ?? [], part =>
    part.length === 3 ? parseInt(part.slice(1), 16) : part.charCodeAt(0));
}

// Control characters, characters that change the direction of writing, and invisible ones.
const invisible = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;
const hex = (number, digits) => number.toString(16).padStart(digits, "0");

// The name as parts of [text, isEscape]. Invisible characters are escapes such as \n or \xff.
export function nameParts(id) {
  const raw = bytes(id);
  try {
    const text = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(raw);
    return [...text].map(c => !invisible.test(c) ? [c, false] : [{"\n": "\\n", "\r": "\\r", "\t": "\\t"}[c] ??
      (c < "\x80" ? "\\x" + hex(c.charCodeAt(0), 2) : "\\u" + hex(c.charCodeAt(0), 4)), true]);
  } catch {
    return [...raw].map(b => b >= 0x20 && b < 0x7f ? [String.fromCharCode(b), false] : ["\\x" + hex(b, 2), true]);
  }
}

export function showName(element, id) {
  const name = document.createElement("bdi");
  name.className = "name";
  let last = null;
  for (const [text, isEscape] of nameParts(id)) {
    if (isEscape || !last || last.nodeType !== Node.TEXT_NODE) {
      last = isEscape ? document.createElement("span") : document.createTextNode("");
      if (isEscape) last.className = "escape";
      name.append(last);
    }
    last.textContent += text;
  }
  element.replaceChildren(name);
}

export const plainName = id => nameParts(id).map(([text]) => text).join("");

const units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"];

export function readableSize(size) {
  if (size === 1) return "1 byte";
  const step = Math.min(Math.floor(Math.log2(Math.max(size, 1)) / 10), units.length - 1);
  const value = size / 1024 ** step;
  return `${step && value < 10 ? value.toFixed(1) : Math.floor(value)} ${units[step]}`;
}

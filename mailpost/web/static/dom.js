// Elements, icons, dates and sizes. Text becomes text here, never HTML.

/** An element: el("button", {class: "icon", onclick: f}, "text", other). A null child or property is left out. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

const ICONS = {
  menu: "M4 7h16M4 12h16M4 17h16",
  back: "M15 5l-7 7 7 7",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 11v5M13.5 11v5",
  flag: "M6 21V4.5M6 5c4-2 7 2 12 0v8.5c-5 2-8-2-12 0",
  clip: "M8.5 12.5l6-6a3 3 0 0 1 4.2 4.2l-8 8a5 5 0 0 1-7-7l7.5-7.5",
  unread: "M4 7h16v11H4zM4 7.5l8 6 8-6",
  reply: "M9 7l-5 5 5 5M4 12h9c4 0 6 2 7 6",
  down: "M12 4v11M7 11l5 5 5-5M5 20h14",
  help: "M9.2 9a2.9 2.9 0 1 1 4.2 2.7c-1 .6-1.4 1.100-1.4 2.3M12 17.5v.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
  file: "M7 3.5h7l4 4V20.5H7zM14 3.5v4h4",
};

/** An icon, which says nothing to those who cannot see it. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  drawing.setAttribute("class", `drawing ${name}`);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

/** A number with its unit: 1.2 kB. */
export function size(octets) {
  if (octets < 1000) return `${octets} B`;
  const [unit, by] = octets < 1e6 ? ["kB", 1e3] : ["MB", 1e6];
  return `${(octets / by).toFixed(octets / by < 10 ? 1 : 0)} ${unit}`;
}

export function count(number, one, many) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** How a list says when something came: seconds since the epoch. */
export function short(seconds) {
  const then = new Date(seconds * 1000);
  const now = new Date();
  const past = now - then;
  if (past > -6e4 && past < 6e4) return "now";
  if (past > 0 && past < 36e5) return `${Math.floor(past / 6e4)} min`;
  if (then.toDateString() === now.toDateString()) return TIME.format(then);
  return (then.getFullYear() === now.getFullYear() ? DAY : YEAR).format(then);
}

export function exact(seconds) {
  return EXACT.format(new Date(seconds * 1000));
}

/** "3 hours ago". */
export function ago(seconds) {
  const past = Date.now() / 1000 - seconds;
  const steps = [[60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [2592e3, 86400, "day"],
    [31536e3, 2592e3, "month"], [Infinity, 31536e3, "year"]];
  const [, by, unit] = steps.find(([limit]) => Math.abs(past) < limit);
  return AGO.format(-Math.round(past / by), unit);
}

/** A date that says it both ways. */
export function when(seconds, shown) {
  return el("time", { datetime: new Date(seconds * 1000).toISOString(), title: exact(seconds) }, shown);
}

/** "Ann Archer", or the address of somebody without a name. */
export function called(people) {
  return people.map((each) => each.name || each.address).join(", ");
}

const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/g;

/** Text with its addresses of the web as links, which open elsewhere and tell nobody. */
export function linked(text) {
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    let address = match[0].replace(/[.,;:!?*_]+$/, "");
    while (address.endsWith(")") && address.split(")").length > address.split("(").length) address = address.slice(0, -1);
    pieces.push(text.slice(at, match.index));
    pieces.push(el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, address));
    at = match.index + address.length;
  }
  pieces.push(text.slice(at));
  return pieces;
}

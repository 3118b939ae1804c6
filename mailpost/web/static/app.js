// The page: users and folders, the list, the message, keys, and what happens meanwhile.

import { count, el, icon } from "./dom.js";
import { List } from "./list.js";
import { Message } from "./message.js";
import { get, listen, post } from "./server.js";

const $ = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 760px)");
const NAMES = { INBOX: "Inbox" };

let about = { login: false, listeners: {}, transcripts: false };
let users = null; // as they were told last
let folders = [];
let place = { user: "", folder: "INBOX", uid: 0 };
let source = null;
let heard = null; // the user whom it is about
let refreshing = null;

const list = new List($("list"), {
  chosen: (uid, row) => go({ uid }, row),
  told: showCount,
  empty: emptyList,
});
const message = new Message($("reading"), {
  back: () => back(),
  seen: () => toggle("seen"),
  flag: () => toggle("flagged"),
  remove: () => remove(),
  transcripts: () => about.transcripts,
});

// -- where we are: it stands behind the # of the address, so that it can be come back to

function read() {
  const from = new URLSearchParams(location.hash.slice(1));
  return { user: from.get("user") || "", folder: from.get("folder") || "INBOX", uid: Number(from.get("uid")) || 0 };
}

function go(change, row = null) {
  const next = { ...place, ...change };
  const query = new URLSearchParams({ user: next.user, folder: next.folder });
  if (next.uid) query.set("uid", next.uid);
  // On a phone, "back" leads from the message to the list; elsewhere going through messages leaves no trail.
  const step = !place.user || (place.uid && next.uid && place.folder === next.folder) || (!narrow.matches && change.uid !== undefined);
  history[step ? "replaceState" : "pushState"](null, "", `#${query}`);
  arrive(next, row);
}

async function arrive(next, row = null) {
  place = next;
  document.body.dataset.view = place.uid ? "message" : "list";
  if (place.user !== heard) hear();
  if (place.user !== list.asked.user || place.folder !== list.asked.folder) {
    $("query").value = "";
    closePlaces();
    showPlaces();
    await showList();
  }
  if (place.uid && isThere(place.user)) {
    if (list.uid !== place.uid) {
      list.uid = place.uid;
      await list.refresh(true);
    }
    await showMessage(row || list.row);
  } else {
    list.unchoose();
    showNothing();
  }
}

const folderOf = (name) => folders.find((each) => each.name === name);

const isThere = (user) => Boolean(users?.some((each) => each.name === user));

async function showList() {
  if (!isThere(place.user)) {
    list.reset({});
    list.total = 0;
    list.draw();
    return;
  }
  const sent = /^(sent|drafts)/i.test(place.folder) || ["sent", "drafts"].includes(folderOf(place.folder)?.use);
  $("list").setAttribute("aria-label", `Messages of ${place.folder}`);
  await ignoring(list.show({ user: place.user, folder: place.folder, q: $("query").value.trim(), sent: sent ? 1 : null }, place.uid));
}

async function showMessage(row) {
  const asked = { user: place.user, folder: place.folder, uid: place.uid };
  const told = await message.show(asked);
  if (told && !told.flags.includes("\\Seen") && place.uid === asked.uid) {
    if (row) row.seen = true;
    list.redraw();
    await ignoring(post("mark", { ...asked, flag: "seen", on: 1 }));
  }
}

function showNothing() {
  const where = smtp();
  if (!isThere(place.user) && where) {
    const send = `printf 'Subject: Hello\\r\\n\\r\\nHello!\\r\\n' |\n  curl smtp://${where} --mail-from me@example.org \\\n    --mail-rcpt you@example.org -T -`;
    message.clear(el("div", { class: "blank" }, el("p", {}, "From a shell, for example:"), el("pre", { class: "send" }, el("code", {}, send))));
    return;
  }
  const keys = el("p", {}, el("kbd", {}, "j"), " and ", el("kbd", {}, "k"), " go through the messages, ", el("kbd", {}, "?"), " shows all keys.");
  message.clear(el("div", { class: "blank" }, ...(users?.length ? [el("p", { class: "big" }, "No message chosen"), keys] : [])));
}

// -- users and folders

function showPlaces() {
  const entries = (users || []).flatMap(({ name, unseen }) => {
    const chosen = name === place.user;
    const entry = el("button", { class: "user", "aria-current": chosen ? "true" : null, "aria-expanded": String(chosen), onclick: () => go({ user: name, folder: "INBOX", uid: 0 }) },
      el("span", { class: "label", dir: "auto" }, name), badge(chosen ? 0 : unseen));
    return chosen ? [entry, el("ul", { "aria-label": `Folders of ${name}` }, folders.map(folderEntry))] : [entry];
  });
  const focused = document.activeElement?.dataset?.place;
  $("users").replaceChildren(...entries);
  if (focused) document.querySelector(`[data-place="${CSS.escape(focused)}"]`)?.focus();
  $("folder").textContent = place.user ? NAMES[place.folder] || place.folder : "mailpost";
  $("clear").hidden = $("search").hidden = !place.user;
  const all = (users || []).reduce((sum, each) => sum + (each.unseen || 0), 0);
  document.title = `${all ? `(${all}) ` : ""}${place.user ? `${NAMES[place.folder] || place.folder} · ${place.user} · ` : ""}mailpost`;
}

function folderEntry({ name, label, depth, selectable, messages, unseen }) {
  const chosen = name === place.folder;
  const entry = el("button", { class: `folder${unseen ? " new" : ""}`, "data-place": name, disabled: !selectable, "aria-current": chosen ? "page" : null, onclick: () => go({ folder: name, uid: 0 }) },
    el("span", { class: "label", dir: "auto" }, NAMES[label] || label), badge(unseen, messages));
  entry.style.paddingInlineStart = `${1.55 + depth * 0.9}rem`;
  return el("li", {}, entry);
}

function badge(unseen, messages = 0) {
  if (unseen) return el("span", { class: "badge" }, unseen.toLocaleString(), el("span", { class: "unseen" }, " unread"));
  return messages ? el("span", { class: "badge all" }, messages.toLocaleString()) : null;
}

function showCount(answer) {
  const text = $("query").value.trim() ? count(answer.total, "message found", "messages found") : count(answer.total, "message", "messages");
  $("count").textContent = answer.unseen && !$("query").value.trim() ? `${text}, ${answer.unseen.toLocaleString()} unread` : text;
  $("clear").disabled = answer.total === 0;
}

function smtp() {
  const found = about.listeners.smtp || about.listeners.lmtp;
  return found ? `${found.host}:${found.port}` : "";
}

function emptyList() {
  if ($("query").value.trim()) return [el("p", { class: "big" }, "Nothing found"), el("p", {}, "All words are looked for, in headers and text. “Two words” in quotation marks are one.")];
  const where = smtp();
  if (!place.user) {
    return [el("p", { class: "big" }, "No mail yet"),
      where ? el("p", {}, "Send some, to any address, by SMTP to") : el("p", {}, "It appears here when it comes."),
      where ? el("p", { class: "send" }, el("code", {}, where)) : "",
      where ? el("p", {}, "It appears here by itself.") : ""];
  }
  if (place.folder !== "INBOX" || !where) return [el("p", { class: "big" }, "Nothing here"), el("p", {}, "What comes appears by itself.")];
  return [el("p", { class: "big" }, "Nothing here"), el("p", {}, "Mail for ", el("b", {}, place.user), ", sent by SMTP to"),
    el("p", { class: "send" }, el("code", {}, where)), el("p", {}, "appears by itself.")];
}

function showPorts() {
  const shown = ["smtp", "submission", "imap", "imaps", "pop3"].filter((name) => about.listeners[name]);
  $("ports").replaceChildren(el("dl", {}, shown.map((name) => el("div", {}, el("dt", {}, name.toUpperCase()), el("dd", {}, `${about.listeners[name].host}:${about.listeners[name].port}`)))));
}

function openPlaces() {
  document.body.classList.add("places");
  $("menu").setAttribute("aria-expanded", "true");
  $("places").querySelector("button")?.focus();
}

function closePlaces() {
  document.body.classList.remove("places");
  $("menu").setAttribute("aria-expanded", "false");
}

// -- what happens

function hear() {
  source?.close();
  folders = [];
  heard = place.user;
  source = listen(place.user, {
    users: async (told) => {
      const before = users;
      const wasThere = isThere(place.user);
      users = told;
      if (before?.length) tellOfOthers(before);
      showPlaces();
      if (!place.user && users.length) go({ user: (users.find((each) => each.unseen) || users[0]).name, folder: "INBOX", uid: 0 });
      else if (!before || isThere(place.user) !== wasThere) await arrive(place);
      document.body.dataset.ready = "";
    },
    folders: (told) => {
      folders = told;
      if (folders.length && !folderOf(place.folder)) go({ folder: "INBOX", uid: 0 });
      showPlaces();
    },
    changed: ({ folder }) => {
      if (folder === place.folder) refresh();
    },
    lost: () => document.body.classList.add("lost"),
    back: () => {
      if (document.body.classList.contains("lost")) refresh();
      document.body.classList.remove("lost");
    },
  });
}

/** Ask for the list again; what happens while it is asked for is asked for once more. */
async function refresh() {
  if (refreshing) {
    refreshing = "again";
    return;
  }
  do {
    refreshing = "once";
    await ignoring(list.refresh());
  } while (refreshing === "again");
  refreshing = null;
  if (place.uid && list.index < 0 && !$("query").value.trim()) message.clear(message.bar(), el("p", { class: "quiet" }, "This message is no longer there."));
}

/** Mail has come for somebody else than the one who is looked at. */
function tellOfOthers(before) {
  for (const { name, unseen } of users) {
    const old = before.find((each) => each.name === name)?.unseen || 0;
    if (name !== place.user && unseen > old) {
      notice(`New mail for ${name}`, () => go({ user: name, folder: "INBOX", uid: 0 }));
    }
  }
}

function notice(text, does = null) {
  const shown = el("button", { class: "notice", onclick: () => { shown.remove(); does?.(); } }, text);
  $("notices").replaceChildren(...[...$("notices").children].slice(-2), shown);
  setTimeout(() => shown.remove(), 6000);
}

async function ignoring(work) {
  try {
    return await work;
  } catch (error) {
    notice(error.message);
    return null;
  }
}

// -- what is done to messages

const chosen = () => ({ user: place.user, folder: place.folder, uid: place.uid });

async function toggle(flag) {
  const row = list.row;
  if (!place.uid || !row) return;
  row[flag] = !row[flag];
  list.redraw();
  await ignoring(post("mark", { ...chosen(), flag, on: row[flag] ? 1 : 0 }));
}

async function remove() {
  if (!place.uid) return;
  const next = list.rows.get(list.index + 1) || list.rows.get(list.index - 1);
  const gone = chosen();
  if (next && !narrow.matches) {
    list.uid = next.uid;
    go({ uid: next.uid }, next);
  } else {
    go({ uid: 0 });
  }
  await ignoring(post("delete", gone));
  await refresh();
}

$("clear").addEventListener("click", () => {
  $("confirm-text").textContent = `${count(Math.max(list.total, 0), "message", "messages")} of ${NAMES[place.folder] || place.folder} will be gone for good.`;
  $("confirm").returnValue = "no";
  $("confirm").showModal();
});
$("confirm").addEventListener("close", async () => {
  if ($("confirm").returnValue !== "yes") return;
  await ignoring(post("clear", { user: place.user, folder: place.folder }));
  go({ uid: 0 });
});

// -- searching

let typing = 0;
$("query").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showList, 250);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  showList();
  $("list").focus();
});

// -- keys

function back() {
  if (place.uid) {
    if (narrow.matches) go({ uid: 0 });
    $("list").focus();
  } else if ($("query").value) {
    $("query").value = "";
    showList();
  }
}

const KEYS = {
  j: () => list.choose(list.index + 1),
  ArrowDown: () => list.choose(list.index + 1),
  k: () => list.choose(list.index - 1),
  ArrowUp: () => list.choose(list.index - 1),
  Home: () => list.choose(0),
  End: () => list.choose(list.total - 1),
  Enter: () => (place.uid ? $("panel")?.focus() : list.choose(Math.max(list.index, 0))),
  Escape: back,
  u: () => toggle("seen"),
  s: () => toggle("flagged"),
  d: remove,
  Delete: remove,
  "/": () => $("query").focus(),
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const at = event.target;
  if (at.matches("input, select")) {
    if (event.key === "Escape") {
      if (at === $("query")) back();
      $("list").focus();
    }
    return;
  }
  const scrolls = ["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key);
  if (scrolls && at !== $("list") && at !== document.body) return; // whatever has the focus scrolls
  if (event.key === "Enter" && at.matches("button, a")) return;
  const does = /^[1-7]$/.test(event.key) ? () => message.pickNumber(Number(event.key)) : KEYS[event.key];
  if (!does) return;
  event.preventDefault();
  does();
});

// -- to begin with

$("menu").append(icon("menu"));
$("clear").append(icon("trash"));
$("menu").addEventListener("click", openPlaces);
$("shade").addEventListener("click", closePlaces);
$("places").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.classList.contains("places")) {
    event.stopPropagation();
    closePlaces();
    $("menu").focus();
  }
});
addEventListener("popstate", () => arrive(read()));

async function begin() {
  about = await get("about");
  showPorts();
  place = read();
  hear();
}

begin().catch((error) => notice(error.message));

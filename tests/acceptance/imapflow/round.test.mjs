// A whole round with imapflow: what it does, and what it hears of what another client does.
// The folder named in LETTERS has message n, which is UID n of INBOX, in its n-th file; PORT is the server's.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImapFlow } from "imapflow";

const letters = readdirSync(process.env.LETTERS).sort().map((name) => readFileSync(join(process.env.LETTERS, name)));
const count = letters.length;
let actor, other;

async function connected(more = {}) {
  const auth = { user: "ann", pass: "pass" };
  const client = new ImapFlow({ host: "127.0.0.1", port: Number(process.env.PORT), auth, logger: false, ...more });
  await client.connect();
  return client;
}

// What `client` hears of this kind while `act` is run and until `wanted` of it have come.
async function heard(client, kind, wanted, act) {
  const events = [];
  const enough = new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${events.length} of ${wanted} ${kind} came`)), 15_000);
    client.on(kind, (event) => {
      if (events.push(event) === wanted) resolve(clearTimeout(late));
    });
  });
  const idling = client.idle();
  await act();
  await enough;
  await client.noop(); // ends IDLE
  await idling;
  client.removeAllListeners(kind);
  return events;
}

async function body(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

before(async () => {
  actor = await connected();
  other = await connected({ qresync: true, disableAutoIdle: true });
});

after(async () => {
  await actor.logout();
  await other.logout();
});

test("what is announced is enabled", () => {
  for (const name of ["CONDSTORE", "QRESYNC", "OBJECTID", "IDLE", "MOVE", "UIDPLUS", "SPECIAL-USE"]) {
    assert.ok(actor.capabilities.has(name), name);
  }
  assert.ok(actor.enabled.has("CONDSTORE") && !actor.enabled.has("QRESYNC"));
  assert.ok(other.enabled.has("QRESYNC"));
});

test("every message is fetched as it was, with envelope, structure and ids", async () => {
  const opened = await actor.mailboxOpen("INBOX");
  assert.equal(opened.exists, count);
  assert.ok(opened.highestModseq > 0n && opened.mailboxId);
  const wanted = { source: true, envelope: true, bodyStructure: true, emailId: true, threadId: true, flags: true };
  const seen = new Set();
  let last = 0;
  for await (const each of actor.fetch("1:*", { uid: true, internalDate: true, size: true, ...wanted })) {
    assert.equal(each.uid, ++last);
    assert.ok(each.source.equals(letters[each.uid - 1]), `message ${each.uid}`);
    assert.equal(each.size, letters[each.uid - 1].length);
    assert.ok(each.envelope && each.modseq > 0n && each.threadId, `message ${each.uid}`);
    // Of what is nested a hundred deep imapflow leaves out the structure.
    const parts = letters[each.uid - 1].toString("latin1").split(/content-type:/i).length;
    assert.ok(each.bodyStructure?.type || parts > 100, `message ${each.uid}`);
    seen.add(each.emailId);
  }
  assert.equal(last, count);
  assert.ok(seen.size > count * 0.9 && !seen.has(undefined));
});

test("a part is downloaded", async () => {
  for (const uid of [1, 2, 3, count]) {
    const { content } = await actor.download(String(uid), undefined, { uid: true, chunkSize: 1000 });
    assert.ok((await body(content)).equals(letters[uid - 1]));
  }
  const attachment = Buffer.from(Array.from({ length: 3000 }, (_, at) => at % 256));
  const text = attachment.toString("base64").replace(/.{76}/g, "$&\r\n");
  const octets =
    "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n" +
    "--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n" +
    `Content-Disposition: attachment; filename="a.png"\r\n\r\n${text}\r\n--b--\r\n`;
  const { uid } = await actor.append("Drafts", octets, ["\\Draft"]);
  await actor.mailboxOpen("Drafts");
  const { meta, content } = await actor.download(String(uid), "2", { uid: true });
  assert.equal(meta.filename, "a.png");
  assert.ok((await body(content)).equals(attachment));
  await actor.mailboxOpen("INBOX");
});

test("search agrees with the octets", async () => {
  const big = letters.flatMap((octets, at) => (octets.length > 5000 ? [at + 1] : []));
  assert.deepEqual(await actor.search({ larger: 5000 }, { uid: true }), big);
  assert.deepEqual(await actor.search({ uid: "3:7", not: { uid: "5" } }, { uid: true }), [3, 4, 6, 7]);
  const found = await actor.search({ larger: 5000 }, { uid: true, returnOptions: ["COUNT", "MAX"] });
  assert.deepEqual([found.count, found.max], [big.length, big.at(-1)]);
});

test("flags: set, added, removed, on a condition, and asked for since a modification", async () => {
  const { highestModseq } = await actor.status("INBOX", { highestModseq: true });
  assert.ok(await actor.messageFlagsAdd("1:20", ["\\Flagged", "$Work"], { uid: true }));
  assert.ok(await actor.messageFlagsRemove("11:20", ["\\Flagged"], { uid: true }));
  assert.ok(await actor.messageFlagsSet("21", ["\\Answered"], { uid: true }));
  await actor.messageFlagsAdd("1", ["$Late"], { uid: true, unchangedSince: highestModseq });
  const changed = await actor.fetchAll("1:*", { uid: true, flags: true }, { changedSince: highestModseq });
  const names = (each) => [...each.flags].filter((flag) => flag !== "\\Recent").sort();
  assert.deepEqual(changed.map((each) => each.uid), Array.from({ length: 21 }, (_, at) => at + 1));
  assert.deepEqual(names(changed[0]), ["$Work", "\\Flagged"]);
  assert.deepEqual(names(changed[19]), ["$Work"]);
  assert.deepEqual(names(changed[20]), ["\\Answered"]);
  assert.deepEqual(await actor.search({ flagged: true }, { uid: true }), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("folders are made, renamed and deleted, and keep their id", async () => {
  const made = await actor.mailboxCreate(["Projects", "Größe & more"]);
  assert.ok(made.created && made.mailboxId);
  await actor.mailboxRename("Projects", "Done");
  const moved = await other.mailboxOpen("Done/Größe & more");
  assert.equal(moved.mailboxId, made.mailboxId);
  await other.mailboxClose();
  await actor.mailboxDelete("Done/Größe & more");
  const folders = await actor.list({ statusQuery: { messages: true, unseen: true, size: true } });
  assert.ok(!folders.some((each) => each.path.includes("Größe")));
  const uses = Object.fromEntries(folders.filter((each) => each.specialUse).map((each) => [each.specialUse, each]));
  for (const use of ["\\Inbox", "\\Drafts", "\\Sent", "\\Trash", "\\Junk", "\\Archive"]) assert.ok(uses[use], use);
  assert.equal(uses["\\Sent"].specialUseSource, "extension");
  const octets = letters.reduce((sum, each) => sum + each.length, 0);
  assert.deepEqual([uses["\\Inbox"].status.messages, uses["\\Inbox"].status.size], [count, octets]);
});

test("IDLE: what another client does is heard live", async () => {
  await other.mailboxOpen("INBOX");
  await actor.mailboxOpen("INBOX");
  const came = await heard(other, "exists", 1, () => actor.append("INBOX", letters[0]));
  assert.deepEqual([came[0].prevCount, came[0].count], [count, count + 1]);
  const flagged = await heard(other, "flags", 3, () => actor.messageFlagsAdd("31:33", ["\\Seen"], { uid: true }));
  assert.deepEqual(flagged.map((each) => [each.uid, each.flags.has("\\Seen")]), [[31, true], [32, true], [33, true]]);
  assert.ok(flagged.every((each) => each.modseq > 0n));
  const gone = await heard(other, "expunge", 1, () => actor.messageDelete(String(count + 1), { uid: true }));
  assert.deepEqual([gone[0].uid, gone[0].vanished], [count + 1, true]);
  await other.mailboxClose();
});

test("without QRESYNC an expunge is heard by its number", async () => {
  const third = await connected();
  await third.mailboxOpen("INBOX");
  const { uid } = await actor.append("INBOX", letters[1]);
  await third.noop();
  const gone = await heard(third, "expunge", 1, () => actor.messageDelete(String(uid), { uid: true }));
  assert.deepEqual([gone[0].seq, gone[0].vanished], [count + 1, false]);
  await third.logout();
});

test("QRESYNC: what happened while it was away", async () => {
  const before = await other.mailboxOpen("INBOX");
  await other.mailboxClose();
  await actor.messageFlagsAdd("41:45", ["\\Flagged"], { uid: true });
  await actor.messageDelete("46:49", { uid: true });
  const flags = [];
  const gone = [];
  other.on("flags", (event) => flags.push(event.uid));
  other.on("expunge", (event) => gone.push([event.uid, event.earlier]));
  const state = { uidValidity: before.uidValidity, changedSince: before.highestModseq };
  const opened = await other.mailboxOpen("INBOX", state);
  assert.equal(opened.exists, count - 4);
  assert.deepEqual(flags, [41, 42, 43, 44, 45]);
  assert.deepEqual(gone, [[46, true], [47, true], [48, true], [49, true]]);
  other.removeAllListeners();
});

test("every message is moved, copied, and added again", async () => {
  const email = (await actor.fetchOne("1", { emailId: true }, { uid: true })).emailId;
  const copied = await actor.messageCopy("1:10", "Sent", { uid: true });
  assert.equal(copied.uidMap.size, 10);
  const gone = await heard(other, "expunge", count - 4, async () => {
    const moved = await actor.messageMove("1:*", "Archive", { uid: true });
    assert.equal(moved.uidMap.size, count - 4);
  });
  assert.ok(gone.every((each) => each.vanished));
  assert.equal((await actor.status("INBOX", { messages: true })).messages, 0);
  await actor.mailboxOpen("Archive");
  assert.equal((await actor.fetchOne("1", { emailId: true })).emailId, email);
  for (const [at, octets] of letters.entries()) {
    const appended = await actor.append("Junk", octets, at % 2 ? ["\\Seen"] : [], new Date(1_000_000_000_000 + at * 1000));
    assert.equal(appended.uid, at + 1);
  }
  await actor.mailboxOpen("Junk");
  for await (const each of actor.fetch("1:*", { uid: true, source: true, flags: true, internalDate: true })) {
    assert.ok(each.source.equals(letters[each.uid - 1]));
    assert.equal(each.flags.has("\\Seen"), each.uid % 2 === 0);
    assert.equal(each.internalDate.getTime(), 1_000_000_000_000 + (each.uid - 1) * 1000);
  }
});

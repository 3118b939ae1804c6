// A test as a Node.js program would have it: it starts a mail server of its own, sends a mail, and reads it by imapflow.
// MAILPOST names the command, as JSON.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { ImapFlow } from "imapflow";

let server, told;

before(async () => {
  const [command, ...words] = JSON.parse(process.env.MAILPOST);
  server = spawn(command, [...words, "serve-tests", "--json"], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: server.stdout }), "line");
  told = JSON.parse(line);
});

after(async () => {
  server.stdin.end(); // which ends it
  await once(server, "exit");
});

// What any library for sending would do.
async function send(to, text) {
  const { host, port } = told.endpoints.smtp;
  const socket = createConnection({ host, port });
  const answers = createInterface({ input: socket })[Symbol.asyncIterator]();
  const expect = async (code) => {
    for (;;) {
      const { value } = await answers.next();
      assert.ok(value.startsWith(code), value);
      if (value[3] !== "-") return;
    }
  };
  await expect("220");
  for (const [said, code] of [
    ["EHLO test.example", "250"],
    ["MAIL FROM:<shop@example.org>", "250"],
    [`RCPT TO:<${to}>`, "250"],
    ["DATA", "354"],
    [`${text}\r\n.`, "250"],
    ["QUIT", "221"],
  ]) {
    socket.write(`${said}\r\n`);
    await expect(code);
  }
  socket.destroy();
}

async function client(protocol, more = {}) {
  const { host, port } = told.endpoints[protocol];
  const auth = { user: "ann@example.org", pass: "any password" };
  const made = new ImapFlow({ host, port, auth, secure: protocol === "imaps", logger: false, ...more });
  await made.connect();
  return made;
}

test("a mail that comes is told of, and can be read", async () => {
  const ann = await client("imap", { doSTARTTLS: false });
  await ann.mailboxOpen("INBOX");
  const came = once(ann, "exists");
  const idling = ann.idle();
  await send("ann@example.org", "Subject: Welcome\r\n\r\nYour code: 123456");
  const [event] = await came;
  assert.equal(event.count, event.prevCount + 1);
  const mail = await ann.fetchOne(event.count, { envelope: true, source: true });
  assert.equal(mail.envelope.subject, "Welcome");
  assert.match(mail.source.toString(), /Your code: 123456/);
  await idling;
  await ann.logout();
});

test("TLS by the authority that it names", async () => {
  const ann = await client("imaps", { tls: { ca: readFileSync(told.ca_file) } });
  assert.ok(ann.secureConnection && ann.capabilities.has("IDLE"));
  await ann.logout();
});

test("each address has an inbox of its own", async () => {
  await send("bob@example.org", "Subject: For Bob\r\n\r\nHello!");
  const ann = await client("imap", { doSTARTTLS: false });
  await ann.mailboxOpen("INBOX");
  assert.equal(await ann.search({ subject: "For Bob" }).then((found) => found.length), 0);
  await ann.logout();
});

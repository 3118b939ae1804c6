// What the test does in Thunderbird's main window, with the interfaces that its own buttons use.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.getAccount("account1").incomingServer;
const inbox = folder_for("Inbox");
const pane = window.document.getElementById("tabmail").currentAbout3Pane;

async function until(condition) {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const value = condition();
    if (value) return value;
  }
  throw new Error(`it did not come to pass: ${condition}`);
}

// Until what `start` begins, and tells the listener that it is given, has ended.
function ended(start) {
  return new Promise((resolve, reject) => {
    const end = (status) => (status ? reject(new Error(`it failed with ${status}`)) : resolve());
    start({
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (url, status) => end(status),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy: end,
    });
  });
}

async function keep_password(user, password) {
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init("imap://127.0.0.1", null, "imap://127.0.0.1", user, password, "", "");
  await Services.logins.addLoginAsync(login);
}

function folder_for(use) {
  return server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[use]);
}

function folders() {
  return server.rootFolder.descendants.map((each) => decodeURIComponent(each.URI.split("/").pop())).sort();
}

function headers(folder) {
  return [...folder.messages].sort((one, other) => one.messageKey - other.messageKey);
}

function with_uids(folder, uids) {
  return headers(folder).filter((header) => uids.includes(header.messageKey));
}

// The words of the message, once it is on the screen.
async function shown(uid) {
  const row = pane.gDBView.findIndexOfMsgHdr(with_uids(inbox, [uid])[0], true);
  pane.threadTree.selectedIndex = row;
  return await until(() => {
    const body = pane.messageBrowser.contentWindow?.getMessagePaneBrowser?.()?.contentDocument?.body;
    return body?.querySelector(".moz-text-plain, .moz-text-flowed, .moz-text-html")?.textContent.trim();
  });
}

async function downloaded(folder) {
  await ended((listener) => folder.downloadAllForOffline(listener, window.msgWindow));
}

// Of each message what is kept here of it, in base64.
async function all_octets(folder) {
  const all = [];
  for (const header of headers(folder)) {
    if (!(header.flags & Ci.nsMsgMessageFlags.Offline)) throw new Error(`${header.messageKey} is not kept here`);
    all.push(await octets(folder.getUriForMsg(header)));
  }
  return all;
}

function octets(uri) {
  return new Promise((resolve, reject) => {
    let read = "";
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      onStartRequest() {},
      onStopRequest: (request, status) => (status ? reject(new Error(`${uri}: ${status}`)) : resolve(btoa(read))),
      onDataAvailable(request, stream, offset, count) {
        const input = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
        input.setInputStream(stream);
        read += input.readBytes(count);
      },
    };
    const service = MailServices.messageServiceFromURI(uri);
    service.streamMessage(uri, listener, window.msgWindow, null, false, "", true);
  });
}

async function moved(from, which, to) {
  const left = headers(from).length - which.length;
  await ended((listener) => {
    MailServices.copy.copyMessages(from, which, to, true, listener, window.msgWindow, false);
  });
  await until(() => headers(from).length === left);
}

async function deleted(folder, which) {
  const left = headers(folder).length - which.length;
  await ended((listener) => folder.deleteMessages(which, window.msgWindow, false, false, listener, false));
  await until(() => headers(folder).length === left);
}

async function made_and_renamed(name, later) {
  server.rootFolder.createSubfolder(name, window.msgWindow);
  const made = await until(() => server.rootFolder.descendants.find((each) => each.name === name));
  made.rename(later, window.msgWindow);
  await until(() => server.rootFolder.descendants.some((each) => each.name === later));
}

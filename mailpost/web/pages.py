"""What there is under which address, and who may ask for it.

A request is let in (`access`) before anything is looked at. Pages of others cannot make a browser ask for anything
that counts: what browsers say of where a request comes from (Sec-Fetch-Site, Origin) is heeded, and what changes
something needs a header field that no form and no link can have.

GET  /                          the page; /static/NAME its files
GET  /api/about                 {login, html, transcripts, listeners}
GET  /api/events?user           see `events`
GET  /api/messages?user&folder&start&count&q&place...        see `listing.window`
GET  /api/message?user&folder&uid                           see `message.described`
GET  /api/html, /api/source, /api/raw, /api/part&part       of such a message
GET  /api/transcripts?about, /api/transcript?number
POST /api/mark?user&folder&uid...&flag&on                   flag: seen, flagged
POST /api/delete?user&folder&uid... , /api/clear?user&folder
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from importlib import resources
from secrets import token_hex
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from mailpost.mail.errors import ErrorKind, MailError
from mailpost.mail.flags import DELETED, FLAGGED, SEEN, FlagChange, intern_flags
from mailpost.storage.interfaces import IMailpostMailbox
from mailpost.storage.offload import settled
from mailpost.storage.records import Attribute
from mailpost.web import message, safehtml
from mailpost.web.access import Visit
from mailpost.web.channel import Asked, Query, first, number, uids
from mailpost.web.events import Stream
from mailpost.web.listing import Searches, window
from mailpost.web.replies import MESSAGE, NOTHING, PAGE, RefusedError, Reply, as_json, download, failed, refusal
from mailpost.web.site import Site

Handler = Callable[[Visit, Query], Awaitable[Reply]]

_FLAGS = {"seen": SEEN, "flagged": FLAGGED}
_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_AT_ONCE = 1000
"""Messages that are removed before others have their turn."""
_LONGEST_QUERY = 200
_NOT_TAKEN_APART = "This message could not be taken apart. Its source is shown instead."


class Pages:
    """Answers requests."""

    _log = Logger()

    def __init__(self, site: Site) -> None:
        self._site = site
        self._searches = Searches()
        self._files = _files()
        self._get: Mapping[str, Handler] = {
            "about": self._about,
            "messages": self._messages,
            "message": self._message,
            "html": self._html,
            "source": self._source,
            "raw": self._raw,
            "part": self._part,
            "transcripts": self._transcripts,
            "transcript": self._transcript,
        }
        self._post: Mapping[str, Handler] = {"mark": self._mark, "delete": self._delete, "clear": self._clear}

    async def answer(self, request: Asked) -> Reply | None:
        """The reply to a request; None where it has been written already."""
        try:
            return await self._answer(request)
        except RefusedError as error:
            return refusal(error.status, error.text)
        except MailError as error:
            reply = failed(error)
            if error.kind is ErrorKind.AUTHENTICATION_FAILED:
                return _asking_for_password(reply)
            return reply
        except CancelledError:  # the browser has gone
            raise
        except Exception:  # a bug
            incident = token_hex(4)
            self._log.failure("Bug {incident} in a request for a page", incident=incident)
            if not request.startedWriting:
                return refusal(500, f"Internal error {incident}")
            request.hang_up()
            return None

    async def _answer(self, request: Asked) -> Reply | None:
        path = request.path.decode("ascii", "replace")
        method = "GET" if request.method == b"HEAD" else request.method.decode("ascii", "replace")
        async with self._site.access.visit(request) as visit:
            if not path.startswith("/api/"):
                return self._file(path, request)
            name = path.removeprefix("/api/")
            _require_own_page(request, changes=method != "GET")
            if method == "GET" and name == "events":
                await self._events(request, visit)
                return None
            handler = {"GET": self._get, "POST": self._post}.get(method, {}).get(name)
            if handler is None:
                known = name in self._get or name in self._post or name == "events"
                raise RefusedError(405 if known else 404, "There is no such thing here.")
            return await handler(visit, request.parameters())

    # -- the page

    def _file(self, path: str, request: Asked) -> Reply:
        name = "index.html" if path == "/" else path.removeprefix("/static/")
        octets = self._files.get(name)
        if octets is None or (path != "/" and not path.startswith("/static/")):
            raise RefusedError(404, "There is no such page here.")
        if request.method not in (b"GET", b"HEAD"):
            raise RefusedError(405, "This page can only be looked at.")
        ending = name.rpartition(".")[2]
        tag = f'"{sha256(octets).hexdigest()[:20]}"'
        policy = PAGE if ending == "html" else NOTHING
        fields = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.header("if-none-match") == tag:
            return Reply(b"", _TYPES[ending], 304, policy, fields)
        return Reply(octets, _TYPES[ending], policy=policy, fields=fields)

    async def _about(self, visit: Visit, query: Query) -> Reply:
        ports = {
            name: {"host": getattr(address, "host", ""), "port": getattr(address, "port", 0)}
            for name, address in self._site.addresses().items()
            if hasattr(address, "port")
        }
        return as_json(
            {
                "login": self._site.access.login,
                "html": safehtml.can_show(),
                "transcripts": self._site.transcripts is not None,
                "listeners": ports,
            }
        )

    async def _events(self, request: Asked, visit: Visit) -> None:
        user = first(request.parameters(), "user")
        request.begin(Reply(b"", "text/event-stream", fields={"X-Accel-Buffering": "no"}))
        request.write(b":\n\n")
        try:
            await Stream(request, visit, user, self._site.clock).run()
        except MailError:  # the store is closing, perhaps: the page asks again
            request.hang_up()

    # -- messages

    @asynccontextmanager
    async def _box(self, visit: Visit, query: Query) -> AsyncIterator[IMailpostMailbox]:
        """The folder that a request is about, open and up to date."""
        async with visit.account(first(query, "user")) as account:
            box: IMailpostMailbox = await settled(account.open(first(query, "folder", "INBOX")))
            try:
                await settled(box.refresh())
                yield box
            finally:
                box.release()

    async def _messages(self, visit: Visit, query: Query) -> Reply:
        words = first(query, "q")[:_LONGEST_QUERY]
        start, count, places = number(query, "start"), number(query, "count"), uids(query, "place")
        async with self._box(visit, query) as box:
            found = await self._searches.uids(first(query, "user"), box, words)
            return as_json(await window(box, found, start, count, places))

    async def _fetched(self, visit: Visit, query: Query) -> tuple[bytes, dict[str, Any]]:
        """The octets of a message, and what the folder knows of it. Raises EXPUNGED."""
        wanted = uids(query)
        if len(wanted) != 1:
            raise RefusedError(400, "Which message?")
        async with self._box(visit, query) as box:
            rows = [
                row async for batch in box.fetch(wanted, (Attribute.OCTETS, Attribute.INTERNALDATE)) for row in batch
            ]
            at = box.live.position(wanted[0])
            if not rows or at < 0:
                raise MailError(ErrorKind.EXPUNGED, "This message is no longer there")
            ((uid, octets, arrived),) = rows
            return octets, {"uid": uid, "arrived": arrived, "flags": sorted(box.live.flags[at])}

    async def _message(self, visit: Visit, query: Query) -> Reply:
        octets, known = await self._fetched(visit, query)
        try:
            told = await self._site.run(lambda: message.described(octets))
        except Exception:  # a bug: whoever wants to see a message is shown what there is of it
            self._log.failure("a message could not be taken apart")
            told = {"size": len(octets), "unreadable": _NOT_TAKEN_APART}
        return as_json(told | known)

    async def _html(self, visit: Visit, query: Query) -> Reply:
        octets, _ = await self._fetched(visit, query)
        try:
            safe = await self._site.run(lambda: message.html_of(octets))
        except safehtml.NotShownError as error:
            return refusal(422, str(error))
        fields = {"X-Left-Out": str(safe.left_out)}
        return Reply(safe.document.encode("utf-8", "replace"), "text/html", policy=MESSAGE, fields=fields)

    async def _source(self, visit: Visit, query: Query) -> Reply:
        octets, _ = await self._fetched(visit, query)
        text = await self._site.run(lambda: message.source_of(octets).encode())
        return Reply(text, "text/plain")

    async def _raw(self, visit: Visit, query: Query) -> Reply:
        octets, _ = await self._fetched(visit, query)
        return download(f"message-{first(query, 'uid')}.eml", octets)

    async def _part(self, visit: Visit, query: Query) -> Reply:
        octets, _ = await self._fetched(visit, query)
        found = await self._site.run(lambda: message.part_of(octets, first(query, "part")))
        if found is None:
            raise RefusedError(404, "This message has no such part.")
        name, media_type, body = found
        if "show" in query and message.is_image(media_type, body):
            return Reply(body, media_type)
        return download(name, body)

    # -- transcripts

    async def _transcripts(self, visit: Visit, query: Query) -> Reply:
        wanted = first(query, "about")[:_LONGEST_QUERY]
        spoken = list(self._site.transcripts() if self._site.transcripts else ())

        def told() -> list[dict[str, Any]]:
            found = []
            for each in reversed(spoken):
                title, *lines = each.lines()
                about = bool(wanted) and any(wanted in line for line in lines)
                found.append({"number": each.number, "title": title, "lines": len(lines), "about": about})
            return found

        return as_json(await self._site.run(told))

    async def _transcript(self, visit: Visit, query: Query) -> Reply:
        wanted = number(query, "number")
        for each in self._site.transcripts() if self._site.transcripts else ():
            if each.number == wanted:
                return as_json({"lines": each.lines()})
        raise RefusedError(404, "This connection is no longer remembered.")

    # -- changes

    async def _mark(self, visit: Visit, query: Query) -> Reply:
        flag = _FLAGS.get(first(query, "flag"))
        if flag is None:
            raise RefusedError(400, "A message can be marked as seen or flagged.")
        change = FlagChange.ADD if first(query, "on") == "1" else FlagChange.REMOVE
        async with self._box(visit, query) as box:
            await settled(box.store(uids(query), change, intern_flags({flag})))
        return as_json({})

    async def _delete(self, visit: Visit, query: Query) -> Reply:
        async with self._box(visit, query) as box:
            return as_json({"removed": await _remove(box, uids(query))})

    async def _clear(self, visit: Visit, query: Query) -> Reply:
        async with self._box(visit, query) as box:
            here, removed = list(box.live.uids), 0  # what comes meanwhile stays
            for at in range(0, len(here), _AT_ONCE):
                removed += await _remove(box, here[at : at + _AT_ONCE])
            return as_json({"removed": removed})


async def _remove(box: IMailpostMailbox, unwanted: Sequence[int]) -> int:
    """Remove messages for good: how many."""
    await settled(box.store(unwanted, FlagChange.ADD, intern_flags({DELETED})))
    return len(await settled(box.expunge(unwanted)))


def _require_own_page(request: Asked, changes: bool) -> None:
    """Refuse what another site made a browser ask for.

    W3C Fetch Metadata: "none" is what a person has typed.
    """
    if request.header("sec-fetch-site").lower() not in ("", "same-origin", "none"):
        raise RefusedError(403, "Another site has asked for this.")
    if changes:
        origin = request.header("origin")
        if origin and origin.partition("://")[2].lower() != request.header("host").lower():
            raise RefusedError(403, "Another site has asked for this.")
        if request.header("x-mailpost") != "1":
            raise RefusedError(403, "What changes something needs the header field X-Mailpost: 1.")


def _asking_for_password(reply: Reply) -> Reply:
    fields = {"WWW-Authenticate": 'Basic realm="mailpost", charset="UTF-8"'}
    return Reply(reply.body, reply.type, reply.status, fields=fields)


def _files() -> dict[str, bytes]:
    """The files of the page, by name; a few dozen KiB."""
    folder = resources.files("mailpost.web").joinpath("static")
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in _TYPES}

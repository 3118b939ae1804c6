"""The page in a browser: mail appears while it comes, and HTML of strangers does nothing.

Set MAILPOST_SCREENSHOTS to a folder to keep pictures of it.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient

from mailpost.service.democontent import messages
from mailpost.testing import MailServer
from mailpost.web import message
from mailpost.web.safehtml import SafeHtml

pytest.importorskip("nh3", reason="nh3 is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.acceptance.browser import MISSING, browser, size
from tests.acceptance.server import configured, free_port

pytestmark = pytest.mark.skipif(MISSING, reason="chromium and chromium-driver are not installed")

ANN = "ann@example.org"
PATIENCE = 10.0


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(started: Chrome, mailpost: MailServer) -> Iterator[Page]:
    """A page of a server without mail; what went wrong in it is told when the test ends."""
    started.get_log("browser")
    size(started, 1400, 900)
    shown = Page(started, mailpost)
    yield shown
    complaints = shown.complaints()
    started.get("about:blank")
    assert complaints == []


class Page:
    """The page as its user sees it."""

    def __init__(self, driver: Chrome, server: MailServer | None) -> None:
        self.driver = driver
        self._server = server

    @property
    def server(self) -> MailServer:
        """Whose mail it shows."""
        assert self._server is not None
        return self._server

    def open(self, user: str = ANN) -> float:
        """Open it, and wait until it is ready: seconds."""
        began = time.perf_counter()
        self.driver.get(f"{self.server.web.url}/#user={user}" if user else self.server.web.url)
        self.until("return document.body.dataset.ready !== undefined")
        return time.perf_counter() - began

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait for something in the page to be true."""
        wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.005)
        return wait.until(lambda _: self.ask(script, *arguments), f"never true: {script} {arguments}")

    def complaints(self) -> list[str]:
        """What the browser has found wrong since the last time."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def until_rows(self, *subjects: str) -> None:
        """Wait until the list shows these, in any order."""
        script = "return [...document.querySelectorAll('.row .subject')].map((each) => each.textContent).sort().join()"
        self.until(f"{script} === arguments[0]", ",".join(sorted(subjects)))

    def keys(self, *keys: str) -> None:
        for each in keys:
            self.driver.switch_to.active_element.send_keys(each)

    def text(self, selector: str) -> str:
        return str(self.ask("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def until_text(self, selector: str, text: str) -> None:
        self.until("return document.querySelector(arguments[0])?.innerText.includes(arguments[1])", selector, text)

    def choose(self, subject: str) -> None:
        """Click on a message, and wait until it is shown."""
        for each in self.driver.find_elements(By.CSS_SELECTOR, ".row"):
            if subject in each.text:
                each.click()
                break
        self.until_text("#reading h2", subject)

    def tab(self, name: str) -> None:
        self.driver.find_element(By.ID, f"tab-{name}").click()

    def picture(self, name: str) -> None:
        if folder := os.environ.get("MAILPOST_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            time.sleep(0.4)  # what moves comes to rest
            self.driver.save_screenshot(f"{folder}/{name}.png")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says what was measured."""

    def tell(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return tell


def mail(subject: str, to: str = ANN, html: str = "", text: str = "Hello!\n") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Bob Baker <bob@example.org>", to, subject
    made["Message-ID"] = f"<{subject.replace(' ', '.')}@example.org>"
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    return made


def send(server: MailServer, *made: EmailMessage) -> None:
    with smtplib.SMTP(*server.smtp.address, timeout=20) as client:
        for each in made:
            client.send_message(each)


def test_the_first_mail_appears_by_itself(page: Page) -> None:
    page.open(user="")
    page.until_text("#list", "No mail yet")
    assert f"127.0.0.1:{page.server.smtp.port}" in page.text("#list")
    page.until_text("#reading", f"curl smtp://127.0.0.1:{page.server.smtp.port}")
    page.picture("empty")
    if shutil.which("curl") is not None:
        subprocess.run(page.text("#reading pre"), shell=True, check=True, capture_output=True, timeout=20)
        page.until_rows("Hello")
        assert page.text("#places .user") == "you@example.org"
        page.driver.get("about:blank")
        page.open()
    send(page.server, mail("the first"))
    page.until_rows("the first")
    assert page.text("#places .user") == ANN
    assert page.ask("return document.title.endsWith('Inbox · ann@example.org · mailpost')")


def test_mail_appears_live_and_soon(page: Page, told: Callable[[str], None]) -> None:
    send(page.server, mail("before"))
    ready = page.open()
    page.until_rows("before")
    seen = "return document.querySelector('.row .subject')?.textContent === arguments[0]"
    times = []
    for number in range(10):
        began = time.perf_counter()
        send(page.server, mail(f"number {number}"))
        page.until(seen, f"number {number}")
        times.append(time.perf_counter() - began)
        time.sleep(0.1)
    told(f"page ready after {ready * 1e3:.0f} ms, a mail seen {sorted(times)[5] * 1e3:.0f} ms after it was sent")
    assert ready < 5
    assert sorted(times)[5] < 1
    page.until_text(".folder[aria-current] .badge", "11")
    page.until_text("#count", "11 messages, 11 unread")
    send(page.server, mail("for carla", "carla@example.org"))
    page.until_text("#notices", "New mail for carla@example.org")
    page.ask("document.querySelector('.notice').click()")
    page.until_rows("for carla")


def test_what_other_clients_do_is_seen(page: Page) -> None:
    ann = page.server.user(ANN)
    send(page.server, mail("one"), mail("two"))
    page.open()
    page.until_text("#count", "2 messages, 2 unread")
    ann.inbox.clear()
    page.until_text("#list", "Nothing here")
    ann.folder("Work").put("Subject: three\n\nHello!\n")
    page.until("return document.querySelector('[data-place=Work] .badge')?.textContent.startsWith('1')")


def test_the_keyboard(page: Page) -> None:
    send(page.server, *(mail(f"number {number}") for number in range(4)))
    page.open()
    page.until_rows(*(f"number {number}" for number in range(4)))
    inbox = page.server.user(ANN).inbox
    page.keys("j")
    page.until_text("#reading h2", "number 3")
    page.keys("j", Keys.ARROW_DOWN)
    page.until_text("#reading h2", "number 1")
    page.keys("k")
    page.until_text("#reading h2", "number 2")
    page.until_text("#count", "4 messages, 1 unread")
    page.keys("u")
    page.until_text("#count", "4 messages, 2 unread")
    page.keys("s")
    page.until("return document.querySelector('[aria-selected=true] .flagged') !== null")
    assert [each.subject for each in inbox.mails("FLAGGED UNSEEN")] == ["number 2"]
    page.keys("5")
    page.until_text("#panel", "Return-Path: <bob@example.org>")
    page.keys(Keys.ENTER)
    assert page.ask("return document.activeElement.id") == "panel"
    page.keys(Keys.ESCAPE)
    assert page.ask("return document.activeElement.id") == "list"
    page.keys("d")
    page.until_rows("number 0", "number 1", "number 3")
    page.until_text("#reading h2", "number 1")
    assert len(inbox.mails()) == 3
    page.keys("/")
    page.keys('"number 3"')
    page.until_rows("number 3")
    page.keys("?", Keys.ESCAPE)  # in the search it is text
    page.until_rows("number 0", "number 1", "number 3")
    page.keys("?")
    assert page.ask("return document.getElementById('help').open")
    page.picture("help")
    page.keys(Keys.ESCAPE)
    assert not page.ask("return document.getElementById('help').open")


def test_every_way_to_look_at_a_message(page: Page, tmp_path: Path) -> None:
    inbox = page.server.user(ANN).inbox
    for each in messages(int(time.time())):
        if each.folder == "INBOX":
            inbox.put(each.octets)
    send(page.server, mail("over smtp", html="<p>in <b>colour</b></p>"))
    page.open()
    page.until_text("#list", "over smtp")
    page.picture("list")
    page.choose("over smtp")
    page.until("return document.querySelector('#panel iframe') !== null")
    page.tab("Text")
    page.until_text("#panel", "Hello!")
    page.tab("Headers")
    page.until_text("#panel", "<over.smtp@example.org>")
    page.tab("Structure")
    page.until_text("#panel", "multipart/alternative")
    page.tab("Transcript")
    page.until_text("#panel", "rcpt TO:<ann@example.org>")
    assert "With this message in it" in page.ask("return document.querySelector('optgroup').label")
    page.picture("transcript")
    page.ask("document.querySelector('#list').scrollTop = 1e6")
    page.until_text("#list", "Three attachments")
    page.choose("Three attachments")
    page.tab("Attachments")
    page.until_text("#panel", "fence.png")
    page.until("const shown = document.querySelector('#panel img'); return shown.complete && shown.naturalWidth === 48")
    page.picture("attachments")
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.ask("document.querySelectorAll('#panel a')[1].click()")
    for _ in range(200):
        if (tmp_path / "plan.zip").exists():
            break
        time.sleep(0.02)
    assert (tmp_path / "plan.zip").read_bytes().startswith(b"PK")
    page.choose("A newsletter with a picture in it")
    page.tab("HTML")
    page.until("return document.querySelector('#panel iframe') !== null")
    page.driver.switch_to.frame(page.driver.find_element(By.CSS_SELECTOR, "#panel iframe"))
    try:
        picture = page.driver.find_element(By.TAG_NAME, "img")
        assert picture.get_attribute("naturalWidth") == "48"
    finally:
        page.driver.switch_to.default_content()
    page.picture("html")


def test_a_telephone_and_the_dark(page: Page) -> None:
    send(page.server, mail("number 1"), mail("number 2", html="<p>Hello!</p>"))
    page.open()
    page.until_rows("number 1", "number 2")
    size(page.driver, 390, 844, dark=True)
    page.picture("phone-list-dark")
    wide = "return document.documentElement.scrollWidth"
    assert page.ask(wide) == 390
    assert page.ask("return getComputedStyle(document.body).backgroundColor") == "rgb(27, 26, 24)"
    assert not page.driver.find_element(By.ID, "reading").is_displayed()
    page.choose("number 2")
    assert not page.driver.find_element(By.ID, "list").is_displayed()
    assert page.ask(wide) == 390
    page.picture("phone-message-dark")
    page.driver.back()
    page.until("return document.body.dataset.view === 'list'")
    page.choose("number 1")
    page.driver.find_element(By.CSS_SELECTOR, "[aria-label^=Back]").click()
    page.until("return document.body.dataset.view === 'list'")
    page.driver.find_element(By.ID, "menu").click()
    page.until("return document.querySelector('#places').getBoundingClientRect().left === 0")
    page.picture("phone-places-dark")
    page.driver.find_element(By.CSS_SELECTOR, "[data-place=Archive]").click()
    page.until_text("#folder", "Archive")
    page.until("return document.querySelector('#places').getBoundingClientRect().right <= 0")


def test_a_hundred_thousand_messages(page: Page, told: Callable[[str], None]) -> None:
    inbox = page.server.user(ANN).inbox
    inbox.fill(100_000)
    ready = page.open()
    page.until("return document.querySelectorAll('.row[data-uid]').length > 5")
    assert page.text("#count").startswith("100,000 messages")
    began = time.perf_counter()
    page.ask("document.querySelector('#list').scrollTop = 86 * 50000")
    page.until("return document.querySelectorAll('.row[data-uid=\"49990\"]').length === 1")
    scrolled = time.perf_counter() - began
    began = time.perf_counter()
    page.keys(Keys.END)
    page.until("return document.querySelector('.row[aria-selected=true]')?.dataset.uid === '1'")
    end = time.perf_counter() - began
    began = time.perf_counter()
    send(page.server, mail("one more"))
    page.until_text("#count", "100,001 messages")
    arrived = time.perf_counter() - began
    assert page.ask("return document.querySelector('.row[aria-selected=true]').dataset.uid") == "1"
    assert page.ask("return document.querySelectorAll('.row').length") < 60
    figures = {"ready": ready, "scrolled": scrolled, "end": end, "arrived": arrived}
    told(f"100,000 messages: {', '.join(f'{name} {each * 1e3:.0f} ms' for name, each in figures.items())}")
    assert max(figures.values()) < 5


class Elsewhere:
    """A web server of somebody else, which must never hear of us."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()

            do_POST = do_HEAD = do_OPTIONS = do_GET

            def log_message(self, *_: Any) -> None:
                """In silence."""

        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.verify_request = self._count  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _count(self, request: Any, address: Any) -> bool:
        self.connections += 1
        return True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    yield made
    made.close()


HOSTILE = """
<html><head><title>Hijacked</title><base href="@/base/">
<meta http-equiv="refresh" content="0; url=@/refresh">
<meta http-equiv="Content-Security-Policy" content="default-src *">
<link rel="stylesheet" href="@/sheet.css"><link rel="prefetch" href="@/prefetch">
<link rel="preload" as="image" href="@/preload">
<link rel="preconnect" href="@/"><link rel="dns-prefetch" href="@/"><link rel="modulepreload" href="@/module.js">
<style>@import url("@/import.css"); body { background: url(@/style-block.png) }
@font-face { font-family: f; src: url(@/font.woff) } * { font-family: f }</style>
<script>parent.document.title = document.title = "Hijacked"; alert(1); fetch("@/fetch")</script>
<script src="@/script.js"></script></head>
<body onload="alert(2)" background="@/body.png" style="background: url(@/body-style.png)">
<img src="@/image.png"><img src="x" onerror="alert(3); new Image().src='@/onerror'"><img srcset="@/set.png 2x">
<img src=@/unquoted.png><img src="//127.0.0.1:PORT/relative.png">
<picture><source srcset="@/source.png"><img src=""></picture>
<input type="image" src="@/input.png"><video src="@/video" poster="@/poster" autoplay></video>
<audio src="@/audio" autoplay><track src="@/track"></audio><iframe src="@/frame"></iframe>
<iframe srcdoc="<img src=@/srcdoc><script>alert(4)</script>"></iframe>
<object data="@/object"></object><embed src="@/embed"><applet code="@/applet"></applet>
<svg onload="alert(5)"><image href="@/svg" /><use href="@/use#a" /><script>alert(6)</script>
<style>@import "@/svg.css";</style>
<foreignObject><img src="@/foreign"></foreignObject><animate onbegin="alert(7)" attributeName="x" dur="1s" /></svg>
<math><mtext><table><mglyph><style><!--</style>
<img title="--&gt;&lt;img src=@/mutation onerror=alert(8)&gt;">
</table></math>
<noscript><p title="</noscript><img src=@/noscript onerror=alert(9)>"></noscript>
<div style="background: url('@/inline.png'); list-style: url(@/list.png)">text</div>
<div style="background-image: image-set('@/set' 1x); behavior: url(@/htc); cursor: url(@/cursor), auto">text</div>
<div style="width: 10px; background: \\75\\72\\6c(@/escaped.png)">text</div>
<table background="@/table.png"><tr><td background="@/cell.png">cell</td></tr></table>
<form id="f" action="@/form" method="post"><input name="a" value="b" autofocus onfocus="alert(10)">
<button>Go</button></form>
<script>document.getElementById("f").submit()</script><details open ontoggle="alert(11)"><summary>x</summary></details>
<marquee onstart="alert(12)">x</marquee><a id="link" href="@/followed" ping="@/ping">follow me</a>
<a id="script" href="javascript:alert(13)">run me</a><textarea autofocus onfocus="alert(14)"></textarea>
<isindex action="@/isindex"><bgsound src="@/sound"><xml src="@/xml"></xml><img src="cid:nothing"><portal src="@/portal">
<body style="position: fixed; inset: 0"><div style="position: fixed; inset: 0; z-index: 99999">over all</div>
<script type="speculationrules">{"prefetch": [{"source": "list", "urls": ["@/speculation"]}]}</script>
"""


def test_html_of_strangers_does_nothing(page: Page, elsewhere: Elsewhere) -> None:
    html = HOSTILE.replace("@/", f"{elsewhere.url}/").replace("PORT", elsewhere.url.rpartition(":")[2])
    assert html.count(elsewhere.url) > 50
    send(page.server, mail("hostile", html=html), mail("hostile as well", html=f"<p>{html}"))
    page.open()
    page.until_text("#list", "hostile as well")
    title = page.ask("return document.title")
    for subject in ("hostile as well", "hostile"):
        page.driver.find_elements(By.CSS_SELECTOR, ".row")[subject == "hostile"].click()
        page.until("return document.querySelector('#reading h2')?.textContent === arguments[0]", subject)
        page.until("return document.querySelector('#panel iframe') !== null")
        page.driver.switch_to.frame(page.driver.find_element(By.CSS_SELECTOR, "#panel iframe"))
        try:
            page.until("return document.readyState === 'complete' && document.body.innerText.includes('follow me')")
            time.sleep(1)  # whatever wants to happen has its time
            assert page.ask("return document.title") == "Message"
            assert page.ask("return location.pathname") == "/api/html"
            assert page.ask("return origin") == "null"
            assert page.ask("return document.scripts.length") == 0
            assert page.ask("return document.querySelector('form, input, iframe, object, svg, link, base')") is None
            assert page.ask("return [...document.links].map((each) => each.protocol)") == ["http:"]
            page.ask("for (const each of document.querySelectorAll('a:not([href])')) each.click()")
            assert "over all" in page.ask("return document.body.innerText")
        finally:
            page.driver.switch_to.default_content()
        page.until_text("#panel .note", "not loaded")
        page.picture("hostile")
    for tab in ("Text", "Headers", "Structure", "Source", "Transcript"):
        page.tab(tab)
        time.sleep(0.1)
    assert page.ask("return document.title") in (title, title.replace("(2) ", ""), title.replace("(2)", "(1)"))
    assert len(page.driver.window_handles) == 1
    assert elsewhere.asked == []
    assert elsewhere.connections == 0


def test_the_policy_alone_would_do(page: Page, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    html = HOSTILE.replace("@/", f"{elsewhere.url}/").replace("PORT", elsewhere.url.rpartition(":")[2])
    monkeypatch.setattr(message, "safe_html", lambda html, images: SafeHtml(html, 0))
    send(page.server, mail("hostile", html=html))
    page.open()
    page.until_rows("hostile")
    page.choose("hostile")
    page.until("return document.querySelector('#panel iframe') !== null")
    title = page.ask("return document.title")
    page.driver.switch_to.frame(page.driver.find_element(By.CSS_SELECTOR, "#panel iframe"))
    page.until("return document.body?.innerText.includes('follow me')")
    time.sleep(1)
    assert page.ask("return document.title") == "Hijacked"  # so it is there as it came
    assert page.ask("return [document.scripts.length, document.images.length].every((each) => each >= 4)")
    page.driver.switch_to.default_content()
    assert page.ask("return document.title") == title
    assert elsewhere.asked == []


def test_links_open_elsewhere_and_tell_nobody(page: Page, elsewhere: Elsewhere) -> None:
    send(page.server, mail("a link", html=f'<a href="{elsewhere.url}/followed?a=1">follow me</a>'))
    page.open()
    page.until_rows("a link")
    page.choose("a link")
    page.until("return document.querySelector('#panel iframe') !== null")
    page.driver.switch_to.frame(page.driver.find_element(By.CSS_SELECTOR, "#panel iframe"))
    page.until("return document.querySelector('a') !== null")
    page.driver.find_element(By.LINK_TEXT, "follow me").click()
    page.driver.switch_to.default_content()
    for _ in range(200):
        if len(page.driver.window_handles) == 2 and elsewhere.asked:
            break
        time.sleep(0.02)
    own, other = page.driver.window_handles
    page.driver.switch_to.window(other)
    try:
        page.until("return location.pathname === '/followed'")
        assert page.ask("return [document.referrer, window.opener]") == ["", None]
        page.driver.get_log("browser")
    finally:
        page.driver.close()
        page.driver.switch_to.window(own)
    assert elsewhere.asked[0] == "GET /followed?a=1"
    assert page.text("#reading h2") == "a link"


def test_a_user_logs_in_and_sees_a_maildir(started: Chrome, tmp_path: Path) -> None:
    port = free_port()
    with configured(tmp_path, ("ann", "bob"), f'web = ["tcp:{port}:interface=127.0.0.1"]\n') as server:
        with IMAPClient("127.0.0.1", server.port, ssl=False) as client:
            client.login("ann", "pass")
            client.append("INBOX", mail("appended").as_bytes())
        password = {"Authorization": f"Basic {b64encode(b'ann:pass').decode()}"}
        started.execute_cdp_cmd("Network.enable", {})
        started.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": password})
        try:
            started.get(f"http://localhost:{port}/")
            page = Page(started, None)
            page.until_rows("appended")
            assert page.text("#users .user") == "ann"
            assert page.text("#ports").split() == ["IMAP", f"127.0.0.1:{server.port}"]
            delivered = tmp_path / "mail/ann/tmp/1.M1P1.there"
            delivered.write_bytes(mail("delivered by another program").as_bytes())
            began = time.perf_counter()
            delivered.rename(tmp_path / "mail/ann/new/1.M1P1.there")
            page.until_rows("appended", "delivered by another program")
            assert time.perf_counter() - began < 3
            page.choose("appended")
            page.until_text("#count", "2 messages, 1 unread")
            assert page.driver.find_elements(By.ID, "tab-Transcript") == []
            page.keys("d")
            page.until_rows("delivered by another program")
            assert page.complaints() == []
        finally:
            started.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})
            started.get("about:blank")
    assert "Traceback" not in server.log.read_text()


def test_other_pages_cannot_frame_or_read_it(page: Page, elsewhere: Elsewhere) -> None:
    send(page.server, mail("mine"))
    page.driver.get(elsewhere.url)
    url = f"{page.server.web.url}/api/message?user={ANN}&uid=1"
    fetched = (
        "const done = arguments[1]; fetch(arguments[0]).then((each) => each.text()).then(done, () => done('refused'))"
    )
    assert page.driver.execute_async_script(fetched, url) == "refused"
    simple = fetched.replace("fetch(arguments[0])", "fetch(arguments[0], {method: 'POST', mode: 'no-cors'})")
    assert page.driver.execute_async_script(simple, url.replace("message", "clear")) in ("", "refused")
    headed = simple.replace("mode: 'no-cors'", "headers: {'X-Mailpost': '1'}")
    assert page.driver.execute_async_script(headed, url.replace("message", "clear")) == "refused"
    page.ask(
        "document.body.append(Object.assign(document.createElement('iframe'), {src: arguments[0]}))",
        page.server.web.url,
    )
    time.sleep(0.5)
    page.driver.switch_to.frame(0)
    assert "mailpost" not in page.ask("return document.body?.innerText ?? ''").replace("127.0.0.1", "")
    page.driver.switch_to.default_content()
    assert [each.subject for each in page.server.user(ANN).inbox.mails()] == ["mine"]
    assert page.complaints() != []

// One message: who, when, about what, and the seven ways to look at it.

import { ago, count, el, exact, icon, linked, size, when } from "./dom.js";
import { address, field, get, text } from "./server.js";

const TABS = ["HTML", "Text", "Headers", "Structure", "Source", "Attachments", "Transcript"];

export class Message {
  /** `asked` is {user, folder, uid}; `act` has back, seen, flag and remove. */
  constructor(element, act) {
    this.element = element;
    this.act = act;
    this.wanted = "HTML"; // the tab that was chosen last
    this.asked = null;
  }

  /** Show nothing but these elements. */
  clear(...children) {
    this.asked = null;
    this.element.replaceChildren(...children);
  }

  async show(asked) {
    this.asked = asked;
    let told;
    try {
      told = await get("message", asked);
    } catch (error) {
      if (this.asked === asked) this.clear(this.bar(), el("p", { class: "quiet" }, error.message));
      return null;
    }
    if (this.asked !== asked) return null;
    this.told = told;
    this.transcripts = null;
    this.panel = el("div", { id: "panel", role: "tabpanel", tabindex: 0 });
    this.tabs = el("div", { role: "tablist", "aria-label": "How to look at the message" });
    this.tabs.addEventListener("keydown", (event) => this.step(event));
    this.element.replaceChildren(this.bar(), this.head(), this.tabs, this.panel);
    this.element.scrollTop = 0;
    this.open(this.usable(this.wanted));
    return told;
  }

  usable(tab) {
    if (this.told.unreadable) return "Source";
    const there = this.there();
    if (there.includes(tab)) return tab;
    return there.includes("HTML") && tab === "Text" ? "HTML" : "Text";
  }

  /** The tabs that this message has. */
  there() {
    if (this.told.unreadable) return ["Source"];
    return TABS.filter((tab) => {
      if (tab === "HTML") return this.told.has_html;
      if (tab === "Text") return this.told.text !== "" || !this.told.has_html;
      if (tab === "Attachments") return this.told.attachments.length > 0;
      if (tab === "Transcript") return this.act.transcripts();
      return true;
    });
  }

  bar() {
    const button = (name, label, does) => el("button", { class: "icon", title: label, "aria-label": label, onclick: does }, icon(name));
    const row = this.asked ? [
      button("unread", "Mark as unread (u)", () => this.act.seen()),
      button("flag", "Flag (s)", () => this.act.flag()),
      el("a", { class: "icon", title: "Download (.eml)", "aria-label": "Download", href: address("raw", this.asked), download: "" }, icon("down")),
      button("trash", "Delete (d)", () => this.act.remove()),
    ] : [];
    return el("div", { class: "bar" }, button("back", "Back to the list (Esc)", () => this.act.back()), el("span", { class: "space" }), ...row);
  }

  head() {
    const told = this.told;
    if (told.unreadable) return el("p", { class: "warning", role: "alert" }, told.unreadable);
    const date = told.date ?? told.arrived;
    const people = (name, list) => list.length === 0 ? null : el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, list.map((each, at) => [
      at ? ", " : "",
      el("span", { class: "person" }, each.name ? el("b", {}, each.name) : null, each.name && each.address ? " " : "", each.address ? el("span", { class: each.name ? "address" : "" }, each.address) : null),
    ])));
    return el("header", {},
      el("h2", { dir: "auto" }, told.subject || "(no subject)"),
      el("dl", { class: "people" }, people("From", told.from), people("To", told.to), people("Cc", told.cc), people("Bcc", told.bcc), people("Reply to", told.reply_to),
        el("div", {}, el("dt", {}, "Date"), el("dd", {}, when(date, exact(date)), el("span", { class: "address" }, ` ${ago(date)}`)))));
  }

  open(tab) {
    this.tab = tab;
    this.tabs.replaceChildren(...this.there().map((each) => {
      const number = each === "Attachments" ? ` ${this.told.attachments.length}` : "";
      return el("button", {
        role: "tab", id: `tab-${each}`, "aria-controls": "panel", "aria-selected": String(each === tab), tabindex: each === tab ? 0 : -1,
        onclick: () => this.pick(each),
      }, each, number ? el("span", { class: "number" }, number) : null);
    }));
    this.panel.setAttribute("aria-labelledby", `tab-${tab}`);
    this.panel.className = tab.toLowerCase();
    this.panel.replaceChildren();
    this.element.dataset.tab = tab.toLowerCase();
    Promise.resolve(this[tab]()).catch((error) => this.panel.replaceChildren(el("p", { class: "quiet" }, error.message)));
  }

  pick(tab) {
    this.wanted = tab;
    this.open(tab);
  }

  /** The tab with this number, from 1, among all seven. */
  pickNumber(number) {
    const tab = TABS[number - 1];
    if (this.asked && this.told && this.there().includes(tab)) this.pick(tab);
  }

  step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const there = this.there();
    this.pick(there[(there.indexOf(this.tab) + by + there.length) % there.length]);
    this.tabs.querySelector("[aria-selected=true]").focus();
  }

  /** Put this into the panel, if it is still the one that is wanted. */
  fill(tab, asked, ...children) {
    if (this.tab === tab && this.asked === asked) this.panel.replaceChildren(...children);
  }

  async HTML() {
    const asked = this.asked;
    const left = Number(await field("html", asked, "X-Left-Out"));
    const frame = el("iframe", {
      // Without allow-scripts, allow-forms and allow-same-origin: it can be looked at, and its links open elsewhere.
      sandbox: "allow-popups allow-popups-to-escape-sandbox", referrerpolicy: "no-referrer",
      title: "HTML of the message", src: address("html", asked),
    });
    const note = left > 0 ? el("p", { class: "note" }, `${count(left, "image", "images")} from elsewhere ${left === 1 ? "is" : "are"} not loaded.`) : null;
    this.fill("HTML", asked, ...[note, frame].filter(Boolean));
  }

  Text() {
    const told = this.told;
    if (!told.text.trim()) {
      this.panel.replaceChildren(el("p", { class: "quiet" }, "There is no text in it."));
      return;
    }
    let signature = false;
    const lines = told.text.replace(/\n$/, "").split("\n").map((line) => {
      signature ||= /^-- ?$/.test(line);
      const quoted = /^>[> ]*/.test(line);
      return el("span", { class: signature ? "signature" : quoted ? "quoted" : "" }, ...linked(line), "\n");
    });
    const more = told.text_cut ? el("p", { class: "note" }, "There is more: download the message to see all of it.") : null;
    this.panel.replaceChildren(...[el("div", { class: "words", dir: "auto" }, lines), more].filter(Boolean));
  }

  Headers() {
    this.panel.replaceChildren(el("dl", {}, this.told.headers.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value)))));
  }

  Structure() {
    const branch = (part) => el("li", {},
      el("div", { class: "part" },
        el("b", {}, part.type),
        part.name ? el("span", {}, part.name) : null,
        part.subject ? el("span", {}, `“${part.subject}”`) : null,
        el("span", { class: "address" }, [part.charset, part.encoding !== "7bit" ? part.encoding : "", part.disposition, part.cid ? `cid:${part.cid}` : "", size(part.size)].filter(Boolean).join(" · ")),
        part.number ? el("a", { href: address("part", { ...this.asked, part: part.number }), download: "", "aria-label": `Download part ${part.number}` }, part.number) : null),
      part.children ? el("ul", {}, part.children.map(branch)) : null,
      part.more ? el("p", { class: "note" }, "and more parts") : null);
    this.panel.replaceChildren(el("ul", { class: "tree" }, branch(this.told.tree)));
  }

  async Source() {
    const asked = this.asked;
    this.fill("Source", asked, el("pre", {}, await text("source", asked)));
  }

  Attachments() {
    this.panel.replaceChildren(el("ul", {}, this.told.attachments.map((each) => {
      const link = address("part", { ...this.asked, part: each.number });
      const shown = each.image ? el("img", { src: `${link}&show=1`, alt: "", loading: "lazy" }) : icon("file");
      return el("li", {}, el("a", { href: link, download: each.name }, el("span", { class: "look" }, shown),
        el("span", { class: "name", dir: "auto" }, each.name), el("span", { class: "address" }, `${each.type} · ${size(each.size)}`)));
    })));
  }

  async Transcript() {
    const asked = this.asked;
    const about = this.told.spoken;
    const found = await get("transcripts", { about });
    if (found.length === 0) {
      this.fill("Transcript", asked, el("p", { class: "quiet" }, "Nobody has connected yet."));
      return;
    }
    const own = found.filter((each) => each.about);
    const first = [...own].reverse().find((each) => /^(smtp|lmtp|submission)/.test(each.title)) || own.at(-1) || found[0];
    const lines = el("pre", { tabindex: 0, "aria-label": "What was said" });
    const open = async (number) => {
      const { lines: said } = await get("transcript", { number });
      lines.replaceChildren(...said.slice(1).map((line) => {
        const who = { C: "client", S: "server" }[line.slice(9, 10)] || "other";
        return el("span", { class: who }, el("i", {}, line.slice(0, 8)), line.slice(8), "\n");
      }));
    };
    const group = (label, list) => list.length === 0 ? null : el("optgroup", { label }, list.map((each) => el("option", { value: each.number, selected: each === first }, `${each.title} · ${count(each.lines, "line", "lines")}`)));
    const choice = el("select", { "aria-label": "Connection", onchange: (event) => open(event.target.value) },
      group("With this message in it", own), group("Others, the latest first", found.filter((each) => !each.about)));
    await open(first.number);
    this.fill("Transcript", asked, choice, lines);
  }
}

// The list of a folder's messages. Only the rows that can be seen are there, so that 100,000 are as quick as 10.

import { called, el, icon, short, when } from "./dom.js";
import { get } from "./server.js";

const PAGE = 50;
const BESIDE = 6; // rows above and below those that can be seen

export class List {
  /** `chosen(uid, row)` is called when the user chooses a message, `told(answer)` with each answer of the server. */
  constructor(element, { chosen, told, empty }) {
    this.element = element;
    this.chosen = chosen;
    this.told = told;
    this.empty = empty;
    this.room = el("div", { class: "room", role: "presentation" });
    this.nothing = el("div", { class: "nothing", hidden: true });
    element.append(this.room, this.nothing);
    this.uid = 0;
    this.reset({});
    element.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(element);
    this.room.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row) this.choose(Number(row.dataset.index));
    });
    setInterval(() => this.redraw(), 30000); // "5 min" grows older
  }

  get height() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 84;
  }

  reset(asked) {
    this.asked = asked; // user, folder, q
    this.rows = new Map(); // index, 0 for the newest -> row
    this.total = -1; // not known yet
    this.mailbox = "";
    this.index = -1;
    this.turn = (this.turn || 0) + 1; // answers to earlier questions are not wanted any more
    this.pending = new Set();
    this.redraw();
  }

  /** Show a folder, or what a search finds in it. */
  async show(asked, uid = 0) {
    this.uid = uid;
    this.element.scrollTop = 0;
    this.reset(asked);
    await this.refresh(true);
  }

  /** Ask again for what can be seen: something has changed. */
  async refresh(reveal = false) {
    if (!this.asked.user) return;
    const turn = ++this.turn;
    this.pending.clear();
    const [first, last] = this.seen();
    const anchor = this.element.scrollTop > 0 ? this.rows.get(first)?.uid : 0;
    const start = Math.max(0, first - BESIDE);
    const places = [...new Set([this.uid, anchor])].filter(Boolean);
    const query = { ...this.asked, start, count: Math.min(200, Math.max(PAGE, last - start + BESIDE)), place: places };
    const answer = await get("messages", query);
    if (turn !== this.turn) return;
    const known = new Set([...this.rows.values()].map((row) => row.uid));
    const fresh = this.mailbox === answer.mailbox && this.total >= 0;
    const moved = anchor && answer.places[anchor] >= 0 ? answer.places[anchor] - first : 0;
    this.rows = new Map();
    this.take(answer, fresh ? known : null);
    this.index = this.uid ? answer.places[this.uid] ?? this.found(this.uid) : -1;
    if (moved) this.element.scrollTop += moved * this.height;
    if (reveal) this.reveal();
    this.redraw();
    this.told(answer);
  }

  take(answer, known) {
    this.total = answer.total;
    this.mailbox = answer.mailbox;
    answer.rows.forEach((row, at) => {
      row.isNew = known !== null && known.size > 0 && row.uid > Math.max(...known);
      this.rows.set(answer.start + at, row);
    });
  }

  /** The index of a message that was chosen while the rows were asked for. */
  found(uid) {
    for (const [index, row] of this.rows) if (row.uid === uid) return index;
    return this.index;
  }

  /** Ask for rows that are not here yet. */
  async fetch(index) {
    const start = Math.floor(index / PAGE) * PAGE;
    if (this.pending.has(start)) return;
    this.pending.add(start);
    const turn = this.turn;
    const answer = await get("messages", { ...this.asked, start, count: PAGE });
    if (turn !== this.turn) return;
    this.pending.delete(start);
    if (answer.total !== this.total || answer.mailbox !== this.mailbox) {
      this.refresh();
      return;
    }
    this.take(answer, null);
    this.redraw();
  }

  /** The first and the last row that can be seen. */
  seen() {
    const height = this.height;
    const first = Math.floor(this.element.scrollTop / height);
    return [first, first + Math.ceil((this.element.clientHeight || 600) / height)];
  }

  redraw() {
    this.drawn = new Map();
    this.room.replaceChildren();
    this.draw();
  }

  draw() {
    const height = this.height;
    this.room.style.height = `${Math.max(0, this.total) * height}px`;
    const [first, last] = this.seen();
    const from = Math.max(0, first - BESIDE);
    const to = Math.min(this.total - 1, last + BESIDE);
    for (const [index, node] of this.drawn) {
      if (index < from || index > to) {
        node.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = from; index <= to; index++) {
      if (this.drawn.has(index)) continue;
      const row = this.rows.get(index);
      if (!row) this.fetch(index).catch(() => {});
      const node = this.drawRow(index, row);
      node.style.transform = `translateY(${index * height}px)`;
      this.drawn.set(index, node);
      this.room.append(node);
    }
    this.mark();
    this.nothing.hidden = this.total !== 0;
    if (this.total === 0) this.nothing.replaceChildren(...this.empty());
  }

  drawRow(index, row) {
    const about = { "data-index": index, role: "option", id: `row-${index}`, "aria-posinset": index + 1, "aria-setsize": this.total };
    if (!row || row.gone) return el("div", { ...about, class: "row waiting", "aria-busy": "true" });
    const who = this.asked.sent ? `to ${called(row.to)}` : called(row.from) || "nobody";
    const kind = ["row", row.seen ? "" : "new", row.isNew ? "arriving" : ""].join(" ");
    row.isNew = false;
    const marks = [
      row.flagged ? el("span", { class: "mark flagged", title: "flagged" }, icon("flag")) : null,
      row.answered ? el("span", { class: "mark", title: "answered" }, icon("reply")) : null,
      row.attached ? el("span", { class: "mark", title: "with attachments" }, icon("clip")) : null,
    ];
    return el("div", { ...about, class: kind, "data-uid": row.uid },
      row.seen ? null : el("span", { class: "unseen" }, "unread, "),
      el("div", { class: "line" }, el("span", { class: "who", dir: "auto" }, who), ...marks, when(row.arrived, short(row.arrived))),
      el("div", { class: "subject", dir: "auto" }, row.subject || "(no subject)"),
      el("div", { class: "preview", dir: "auto" }, row.preview || " "));
  }

  mark() {
    let active = "";
    for (const [index, node] of this.drawn) {
      const chosen = index === this.index;
      node.setAttribute("aria-selected", chosen);
      if (chosen) active = node.id;
    }
    if (active) this.element.setAttribute("aria-activedescendant", active);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** Choose by place: the next one is `choose(list.index + 1)`. */
  async choose(index) {
    if (index < 0 || index >= this.total) return;
    if (!this.rows.has(index)) await this.fetch(index);
    const row = this.rows.get(index);
    if (!row || row.gone) return;
    this.index = index;
    this.uid = row.uid;
    this.reveal();
    this.mark();
    this.chosen(row.uid, row);
  }

  unchoose() {
    this.index = -1;
    this.uid = 0;
    this.mark();
  }

  /** Scroll so that the chosen one can be seen. */
  reveal() {
    if (this.index < 0) return;
    const height = this.height;
    const top = this.index * height;
    const room = this.element.clientHeight;
    this.room.style.height = `${this.total * height}px`;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + height > this.element.scrollTop + room) this.element.scrollTop = top + height - room;
  }

  /** What is known of the chosen message. */
  get row() {
    return this.rows.get(this.index);
  }
}

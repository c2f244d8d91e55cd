// Builds elements from text alone: nothing that comes from a plan or a journal is ever read as markup.
export const at = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) found.setAttribute(name, value);
  }
  found.append(...children.filter((child) => child !== null && child !== undefined));
  return found;
}

export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min${whole < 600 && whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export const clock = (iso) => (iso ? new Date(iso).toLocaleTimeString([], { hour12: false }) : "");

const WORDS = { "pending": "to do", "begun": "under way", "undo begun": "going back", "current": "under way" };
export const word = (status) => WORDS[status] ?? status;

// One stage of the plan: its steps are built when it is opened first, so that 5,000 of them cost nothing before.
export class Stage {
  constructor(stage, states, now, running) {
    this.stage = stage;
    this.running = running;
    this.states = states;
    this.now = now;
    this.rows = new Map();
    this.owner = "";
    this.status = make("span", { class: "word" });
    this.count = make("span", { class: "time" });
    this.time = make("span", { class: "time" });
    const title = make("span", { class: "grow" }, make("strong", {}, stage.title), " ", make("code", {}, stage.id),
      stage.phase ? ` (${stage.phase})` : "");
    this.element = make("details", { class: "stage", "data-stage": stage.id },
      make("summary", {}, this.status, title, this.count, this.time));
    this.element.addEventListener("toggle", () => this.element.open && this.build());
    this.update();
  }

  build() {
    if (this.list) return;
    this.list = make("ol", { class: this.stage.steps.length > 100 ? "steps many" : "steps" });
    for (const step of this.stage.steps) {
      const row = new Row(step);
      this.rows.set(step.id, row);
      this.list.append(row.element);
    }
    this.element.append(this.list);
    this.update();
    this.filter(this.owner);
  }

  filter(owner) {
    this.owner = owner;
    this.element.hidden = owner !== "" && !this.stage.steps.some((step) => step.owner === owner);
    for (const step of this.stage.steps) {
      const row = this.rows.get(step.id);
      if (row) row.element.hidden = owner !== "" && step.owner !== owner;
    }
  }

  update() {
    const current = this.now();
    const found = this.stage.steps.map((step) => this.states.get(step.id));
    const done = found.filter((state) => state?.status === "done").length;
    const failed = found.some((state) => state?.status.endsWith("failed"));
    const touched = this.stage.steps.some((step) => step.id === current) ||
      found.some((state) => state && !["pending", "undone", "done"].includes(state.status));
    const status = failed ? "failed" : done === found.length ? "done" : touched || done ? "under way" : "pending";
    this.status.dataset.is = status;
    set(this.status, status === "under way" && !this.running() ? "in part" : word(status));
    set(this.count, `${done} of ${found.length}`);
    const took = found.reduce((sum, state) => sum + (state?.seconds ?? 0), 0);
    const planned = this.stage.steps.reduce((sum, step) => sum + (step.planned ?? 0), 0);
    set(this.time, [took ? duration(took) : "", planned ? `planned ${duration(planned)}` : ""].filter(Boolean).join(", "));
    for (const [id, row] of this.rows) row.update(this.states.get(id), id === current, this.running());
  }
}

class Row {
  constructor(step) {
    this.step = step;
    this.word = make("span", { class: "word" });
    this.time = make("span", { class: "time" });
    this.details = make("details", {}, make("summary", {}, this.word,
      make("span", { class: "grow" }, step.title, " ", make("code", {}, step.id)),
      step.affects ? make("span", { class: "touch" }, "affects service") : null,
      make("span", { class: "time" }, step.owner), this.time));
    this.more = make("dl", { class: "more" });
    this.details.addEventListener("toggle", () => this.details.open && this.fill());
    this.error = make("p", { class: "error", hidden: "" });
    this.element = make("li", { class: "step", "data-step": step.id }, this.details, this.error);
  }

  fill() {
    const lines = [["Does", this.step.does], ...this.step.before.map((text) => ["Before", text]),
      ...this.step.after.map((text) => ["After", text]), ["Way back", this.step.back],
      ["At most", duration(this.step.limit)]];
    if (this.state?.approved) lines.push(["Approved by", this.state.approved]);
    if (this.state?.attempts > 1) lines.push(["Attempts", String(this.state.attempts)]);
    this.more.replaceChildren(...lines.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
    if (!this.more.isConnected) this.details.append(this.more);
  }

  update(state, current, running) {
    this.state = state;
    const status = !state ? "pending" : state.waiting ? "waiting"
      : current && ["pending", "undone"].includes(state.status) ? "current" : state.status;
    this.element.dataset.status = status === "waiting" ? "begun" : status;
    this.word.dataset.is = status;
    // without a runner nothing is under way: it was begun, and its end is not known
    set(this.word, !running && ["begun", "undo begun"].includes(status) ? "broken off" : word(status));
    const planned = this.step.planned;
    const took = state?.seconds ?? 0;
    const actual = state?.ended ? duration(took) : "";
    this.time.classList.toggle("late", Boolean(planned && took > planned * 1.5 && took - planned > 2));
    set(this.time, [actual, planned ? `planned ${duration(planned)}` : actual ? "" : `at most ${duration(this.step.limit)}`].filter(Boolean).join(", "));
    set(this.error, state?.error ?? "");
    this.error.hidden = !state?.error;
    if (this.details.open) this.fill();
  }
}

// The page: takes what the server sends, shows it, and says so when it has heard nothing.
import { measures } from "/measures.js";
import { Stage, at, clock, duration, make, set } from "/show.js";

const SILENT_MS = 12000;
const LOG_LINES = 400;
const GOOD = ["succeeded", "rolled back"];
const BAD = ["halted", "interrupted", "runner died"];
const TEXT = { "runner died": "The runner has died", "under way": "Under way", "going back": "Going back",
  "waiting": "Waiting for a person", "not begun": "Not begun", "succeeded": "Succeeded", "rolled back": "Rolled back",
  "halted": "Halted", "interrupted": "Stopped at a safe point" };
const csrf = document.querySelector("meta[name=csrf]").content;
const states = new Map();
const steps = new Map();
const stages = new Map();
let head = null;
let plan = null;
let source = null;
let heard = 0;
let skew = 0;
let shownNow = null;
let opened = null;

history.replaceState(null, "", "/"); // the token does not stay in the address

async function begin() {
  const answer = await fetch("/plan");
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  plan = await answer.json();
  set(at("title"), plan.title);
  document.title = plan.title;
  set(at("environment"), `Plan ${plan.id} for ${plan.environment}, hash ${plan.hash}`);
  at("owner").append(...plan.owners.map((owner) => make("option", { value: owner }, owner)));
  for (const stage of plan.stages) {
    const shown = new Stage(stage, states, () => head?.now ?? "", () => head?.running ?? false);
    for (const step of stage.steps) steps.set(step.id, { ...step, stage: shown });
    stages.set(stage.id, shown);
  }
  at("list").replaceChildren(...[...stages.values()].map((stage) => stage.element));
}

function connect() {
  source?.close();
  source = new EventSource("/events");
  source.addEventListener("everything", (event) => take(JSON.parse(event.data), true));
  source.addEventListener("change", (event) => take(JSON.parse(event.data), false));
  source.addEventListener("beat", () => hear());
  source.onerror = () => lose();
}

function hear() {
  heard = Date.now();
  at("lost").hidden = true;
  document.body.classList.remove("stale");
  set(at("connection"), "live");
}

function lose() {
  set(at("connection"), "connection lost");
  document.body.classList.add("stale");
  const since = heard ? `What is shown is as of ${clock(new Date(heard).toISOString())}. ` : "";
  set(at("lost"), `The connection to the page's server is lost. ${since}The cutover does not depend on it. ` +
    "Trying again. If this stays: start `cutover watch` again and open its new link.");
  at("lost").hidden = false;
}

// EventSource gives up for good after some errors, and never notices a line that is simply dead.
setInterval(() => {
  if (plan && (source === null || source.readyState === EventSource.CLOSED || Date.now() - heard > SILENT_MS)) {
    if (Date.now() - heard > SILENT_MS) lose();
    if (source === null || source.readyState !== EventSource.CONNECTING) connect();
  }
  tick();
}, 1000);

function take(message, everything) {
  hear();
  skew = Date.parse(message.clock) - Date.now();
  const turned = head?.running !== message.running;
  head = message;
  if (everything) {
    states.clear();
    at("log").replaceChildren();
  }
  const touched = new Set();
  for (const [id, state] of Object.entries(message.steps)) {
    states.set(id, state);
    touched.add(steps.get(id)?.stage);
  }
  if (shownNow !== head.now) touched.add(steps.get(shownNow)?.stage).add(steps.get(head.now)?.stage);
  shownNow = head.now;
  for (const stage of turned ? stages.values() : touched) stage?.update();
  const current = steps.get(head.now || head.next[0])?.stage;
  if (current && current !== opened) {
    if (opened) opened.element.open = false;
    opened = current;
    current.element.open = true;
  }
  log(message.lines);
  showHead();
  tick();
}

function log(lines) {
  const list = at("log");
  for (const line of lines) list.prepend(make("li", {}, make("time", { datetime: line.at }, clock(line.at)), make("span", {}, line.text)));
  while (list.childElementCount > LOG_LINES) list.lastChild.remove();
}

function showHead() {
  const condition = head.error ? "cannot be read" : head.condition;
  const pill = at("condition");
  pill.dataset.is = head.error || BAD.includes(condition) ? "bad"
    : GOOD.includes(condition) || condition.startsWith("r") ? "good" : condition;
  set(pill, TEXT[condition] ?? condition);
  trouble();
  const bar = at("bar");
  bar.setAttribute("aria-valuemax", head.total);
  bar.setAttribute("aria-valuenow", head.done);
  // the style is set through the object model, which the content policy allows
  at("filled").style.width = `${head.total ? (100 * head.done) / head.total : 0}%`;
  set(at("count"), `${head.done} of ${head.total} steps done.`);
  at("next").replaceChildren(...head.next.map((id) => item(id)));
  if (!head.next.length) at("next").replaceChildren(make("li", {}, head.running ? "nothing more" : `nothing; then: ${head.command}`));
  waiting();
  probes();
  set(at("back"), head.way_back.text);
  at("roll-back").hidden = !head.way_back.possible;
  set(at("asked"), head.asked ? `Rollback to ${head.asked.to || "the start"}, asked for by ${head.asked.by} at ${clock(head.asked.at)}: ${head.asked.state}` : "");
}

function probes() {
  const found = head.probes;
  measures(found);
  at("probes").hidden = !found;
  if (!found) return;
  set(at("probes-error"), found.error ? `Nobody can be asked: ${found.error}` : "");
  at("probes-error").hidden = !found.error;
  at("probed").replaceChildren(...found.rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.domain),
    make("td", {}, row.side), make("td", { class: row.good ? "good-answer" : "bad-answer" }, row.says),
    make("td", {}, row.p50 ? `${row.p50} ms` : "–"), make("td", {}, row.p99 ? `${row.p99} ms` : "–"),
    make("td", {}, `${row.failed} of ${row.of}`), make("td", {}, row.dns))));
}

function trouble() {
  const box = at("trouble");
  const lines = [];
  if (head.error) lines.push(make("p", {}, head.error));
  if (head.died) lines.push(make("p", {}, make("strong", {}, "The runner has ended without a word. "),
    `Its last record is of ${clock(head.last)}. Nothing goes on by itself; what it was doing is looked at before it is repeated.`));
  else if (head.reason && !head.running) lines.push(make("p", {}, make("strong", {}, `${TEXT[head.condition] ?? head.condition}: `), head.reason));
  if (head.changed) lines.push(make("p", {}, "The plan or its settings have changed since it was begun."));
  if (lines.length && !head.running) lines.push(make("p", {}, "To go on: ", make("code", {}, head.command)));
  const text = lines.map((line) => line.textContent).join("\n");
  if (box.dataset.text !== text) box.replaceChildren(...lines);
  box.dataset.text = text;
  box.hidden = !lines.length;
}

function item(id) {
  const step = steps.get(id);
  return make("li", {}, step?.title ?? id, " ", make("span", { class: "quiet" }, `(${step?.owner ?? ""})`));
}

function waiting() {
  const text = JSON.stringify(head.waiting);
  at("waiting-card").hidden = !head.waiting.length;
  if (at("waiting").dataset.shown === text) return; // a button that has the focus is not taken away
  at("waiting").dataset.shown = text;
  at("waiting").replaceChildren(...head.waiting.map((wanted) => {
    const button = make("button", { type: "button", "data-approve": wanted.step }, `Approve ${wanted.step}…`);
    button.addEventListener("click", () => askApproval(wanted));
    return make("div", {}, make("p", { class: "big" }, wanted.owner), make("p", {}, steps.get(wanted.step)?.title ?? wanted.step),
      make("p", { class: "asked" }, wanted.instructions), button);
  }));
}

function tick() {
  if (!head) return;
  const now = Date.now() + skew;
  const ended = head.finished ? Date.parse(head.finished) : head.died ? Date.parse(head.last) : now;
  const lasted = duration((ended - Date.parse(head.started)) / 1000);
  set(at("times"), head.started ? `Began ${clock(head.started)}, ${head.running ? `${lasted} ago` : `took ${lasted}`}.` : "");
  const step = steps.get(head.now);
  if (!step) {
    const shown = head.died ? "No runner is at work." : head.running ? "Between two steps." : "Nothing: no runner is at work.";
    at("now").replaceChildren(make("p", {}, shown));
    return;
  }
  const state = states.get(step.id);
  const begun = state && (state.status === "begun" || state.status === "undo begun");
  const since = begun ? (now - Date.parse(state.began)) / 1000 : null;
  const planned = step.planned ? `, planned ${duration(step.planned)}` : `, at most ${duration(step.limit)}`;
  at("now").replaceChildren(
    make("p", { class: "big" }, head.direction === "back" ? `Undoing: ${step.title}` : step.title),
    make("p", { class: "quiet" }, make("code", {}, step.id), ` ${step.owner}`),
    make("p", { class: step.planned && since > step.planned * 1.5 ? "late" : "" },
      begun ? `for ${duration(since)}${planned}` : "its gates are looked at"));
}

let wanted = null;
function askApproval(found) {
  wanted = found;
  set(at("approve-title"), `Approve ${steps.get(found.step)?.title ?? found.step}`);
  set(at("approve-text"), found.instructions);
  set(at("approve-phrase"), found.step);
  open("approve");
}

const phrase = () => `roll back to ${at("rollback-to").value || "the start"}`;
at("roll-back").addEventListener("click", () => {
  set(at("rollback-text"), head.way_back.text + (head.running ? " The runner stops at its next safe point first." : ""));
  at("rollback-to").replaceChildren(...head.way_back.to.map((end) => make("option", { value: end.id }, end.title)));
  set(at("rollback-phrase"), phrase());
  open("rollback");
});
at("rollback-to").addEventListener("change", () => set(at("rollback-phrase"), phrase()));

function open(name) {
  const form = at(`${name}-form`);
  form.elements.typed.value = "";
  set(form.querySelector(".error"), "");
  at(name).showModal();
  form.elements.by.focus();
}

async function send(name, path, body) {
  const form = at(`${name}-form`);
  const error = form.querySelector(".error");
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  set(error, "");
  try {
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf } });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    at(name).close();
  } catch (problem) {
    set(error, problem instanceof TypeError ? "the server cannot be reached; nothing was done" : problem.message);
  } finally {
    button.disabled = false;
  }
}

for (const name of ["approve", "rollback"]) {
  at(name).querySelector(".cancel").addEventListener("click", () => at(name).close());
  at(`${name}-form`).addEventListener("submit", (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    given.typed = given.typed.trim();
    if (name === "approve") send(name, "/approve", { ...given, step: wanted.step, asked: wanted.asked });
    else send(name, "/rollback", given);
  });
}
at("owner").addEventListener("change", () => {
  for (const stage of stages.values()) stage.filter(at("owner").value);
});

begin().then(connect, (error) => {
  lose();
  set(at("connection"), error.message);
  setTimeout(() => location.reload(), 5000);
});

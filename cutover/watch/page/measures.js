// What users do on both sides, and how far the replica is behind: a figure each, over a line of the last minutes.
import { at, make, set } from "/show.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 48;
// where a sample holds what: its time, each side's rate, failures and p99, and the lag in milliseconds
const COLUMNS = { source: [1, 2], target: [4, 5], lag: [7] };
const NAMES = { source: "Source: requests a second", target: "Target: requests a second" };
const tiles = new Map();

export function measures(found) {
  at("measures").hidden = !found;
  if (!found) return;
  for (const side of ["source", "target"]) show(side, NAMES[side], traffic(found.traffic[side]), found.history);
  const back = found.lag.direction === "reverse";
  show("lag", back ? "The source’s replica is behind by" : "The target’s replica is behind by", lag(found.lag), found.history);
}

function traffic(side) {
  if (!side) return { figure: "…", text: "not looked at yet" };
  if (side.error) return { figure: "–", text: side.error };
  const slow = side.p99 === null ? "" : ` Half within ${side.p50} ms, 99 % within ${side.p99} ms.`;
  return { figure: side.rate.toFixed(side.rate < 10 ? 1 : 0), bad: side.failed > 0, text: `${side.failed} of ${side.requests} failed in ${side.seconds} s.${slow}` };
}

function lag(found) {
  if (found.error) return { figure: "–", text: found.error };
  const way = found.direction === "reverse" ? "The way back" : "Forward";
  const words = { running: "replicates", absent: "does not replicate yet", stopped: "is stopped", failed: "has failed" };
  const text = `${way} ${words[found.state]}: ${found.detail}`;
  if (found.seconds === null) return { figure: found.state === "running" ? "not said yet" : "–", bad: found.state === "failed", text };
  const milliseconds = found.seconds * 1000;
  return { figure: milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${found.seconds.toFixed(1)} s`, text };
}

function show(name, title, { figure, text, bad = false }, history) {
  if (!tiles.has(name)) {
    const tile = { title: make("h3"), figure: make("p", { class: "figure" }), text: make("p", { class: "quiet" }), chart: document.createElementNS(SVG, "svg") };
    for (const [key, value] of Object.entries({ viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" })) tile.chart.setAttribute(key, value);
    tiles.set(name, tile);
    at("tiles").append(make("div", { class: "tile", "data-tone": name }, tile.title, tile.figure, tile.chart, tile.text));
  }
  const tile = tiles.get(name);
  set(tile.title, title);
  set(tile.figure, figure);
  tile.figure.classList.toggle("error", bad);
  set(tile.text, text);
  chart(tile.chart, history, COLUMNS[name]);
}

function chart(svg, history, columns) {
  const begin = history.length ? history[0][0] : 0;
  const span = history.length ? Math.max(1, history.at(-1)[0] - begin) : 1;
  // failures stand on the scale of all requests of the same ten seconds
  const value = (sample, column) => (column === columns[0] ? sample[column] : sample[column] === null ? null : sample[column] / 10);
  const highest = Math.max(0.001, ...history.map((sample) => sample[columns[0]] ?? 0));
  svg.replaceChildren(...columns.flatMap((column, number) => runs(history.map((sample) => [sample[0], value(sample, column)]))
    .map((run) => {
      const line = document.createElementNS(SVG, "polyline");
      if (number) line.setAttribute("class", "bad");
      line.setAttribute("points", run.map(([time, height]) =>
        `${((WIDTH * (time - begin)) / span).toFixed(1)},${(HEIGHT - 2 - ((HEIGHT - 4) * height) / highest).toFixed(1)}`).join(" "));
      return line;
    })));
}

// The stretches for which there are values: where nothing was measured there is no line.
function runs(points) {
  const found = [[]];
  for (const point of points) {
    if (point[1] === null) found.push([]);
    else found.at(-1).push(point);
  }
  return found.filter((run) => run.length > 1);
}

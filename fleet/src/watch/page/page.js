"use strict";
// Everything shown goes through textContent or setAttribute: names and errors come from outside.

const STATES = ["done", "leased", "ready", "waiting", "failed"];
const SVG = "http://www.w3.org/2000/svg";
const TREES = 12;
const trees = new Map();
let state = null;
let offset = 0;

const find = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const titled = (shape, text) => fill(shape, {}, [svg("title", {}, text)]);
const all = (tasks) => STATES.reduce((sum, name) => sum + tasks[name], 0);
const number = (value) => value.toLocaleString("en");
const percent = (part, whole) => `${whole ? Math.floor((100 * part) / whole) : 0} %`;

function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const s = Math.round(seconds);
  const two = (big, unit, small, rest) => `${big} ${unit}${small ? ` ${small} ${rest}` : ""}`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}
const age = (at) => Math.max(0, (Date.now() + offset - at) / 1000);
function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < 4) { count /= 1024; unit++; }
  return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

function bar(tasks) {
  const whole = all(tasks);
  const shapes = [];
  let x = 0;
  for (const name of STATES) {
    const width = whole ? (1000 * tasks[name]) / whole : 0;
    if (width) shapes.push(titled(svg("rect", { class: name, x, y: 0, width, height: 10 }), `${number(tasks[name])} ${name}`));
    x += width;
  }
  if (!whole) shapes.push(svg("rect", { class: "waiting", width: 1000, height: 10, opacity: 0.3 }));
  const label = STATES.map((name) => `${tasks[name]} ${name}`).join(", ");
  return svg("svg", { class: "bar", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": label }, ...shapes);
}

function table(id, heads, rows, none) {
  if (!rows.length) return find(id).replaceChildren(el("tbody", {}, el("tr", {}, el("td", { class: "none wide" }, none))));
  const head = el("tr", {}, ...heads.map(([name, kind]) => el("th", { class: kind || "", scope: "col" }, name)));
  find(id).replaceChildren(el("tbody", {}, head, ...rows.map((cells) => el("tr", {}, ...cells))));
}
const cell = (text, kind = "", of = "") => el("td", of ? { class: kind, "data-of": of } : { class: kind, title: kind === "wide" ? text : "" }, el("bdi", {}, text));
const dotted = (text, colour) => el("td", {}, el("i", { class: colour }), text);

function tiles() {
  const { queue, jobs, provers, throughput, step_s, oldest, forecast } = state;
  const minute = throughput.slice(-1 - 60 / step_s, -1).reduce((sum, count) => sum + count, 0);
  const now = forecast && forecast.curve.find((point) => point.provers === forecast.provers);
  const tile = (value, name) => el("div", { class: "tile" }, el("b", {}, value), el("span", {}, name));
  find("tiles").replaceChildren(
    tile(number(jobs.open) + (jobs.more ? "+" : ""), "open jobs"),
    tile(number(all(queue) - queue.done), "unproven tasks"),
    tile(`${number(provers.working)} of ${number(provers.working + provers.idle)}`, "provers at work"),
    tile(number(minute), "proofs in a minute"),
    tile(oldest ? duration(age(oldest.submitted)) : "–", "oldest unproven"),
    tile(now ? duration(now.delay_s) : "–", now ? "until all is done" : "no rates measured yet"),
  );
  document.title = `${jobs.open} open · ${provers.working} at work · Starkwright fleet`;
}

function queue() {
  find("queue").replaceChildren(bar(state.queue));
  find("legend").replaceChildren(...STATES.map((name) => el("li", {}, el("i", { class: name }), `${number(state.queue[name])} ${name}`)));
  const rows = state.kinds.map(({ machine, kind, tasks, work }) => [
    cell(`${machine} ${kind}`), ...["done", "leased", "ready", "waiting"].map((name) => cell(number(tasks[name]), "number")), cell(number(work), "number"),
  ]);
  table("kinds", [["kind"], ["done", "number"], ["leased", "number"], ["ready", "number"], ["waiting", "number"], ["work left", "number"]], rows, "nothing is queued");
}

// Leaves at the bottom, each task as wide as the leaves below it and reaching up to the one that takes its proof.
function icicle({ job, nodes }) {
  const at = new Map(nodes.map((node) => [node.number, node]));
  const top = new Map();
  for (const node of nodes) for (const child of node.children) top.set(child, Math.max(top.get(child) || 0, node.height));
  let leaves = 0;
  const spans = new Map();
  const span = (node) => {
    if (spans.has(node.number)) return spans.get(node.number);
    const below = node.children.map((child) => at.get(child)).filter(Boolean).map(span);
    const found = below.length ? [Math.min(...below.map((s) => s[0])), Math.max(...below.map((s) => s[1]))] : [leaves, ++leaves];
    spans.set(node.number, found);
    return found;
  };
  for (const node of [...nodes].reverse()) span(node);
  const rows = Math.max(...nodes.map((node) => node.height)) + 1;
  const unit = 1000 / leaves;
  const shapes = nodes.map((node) => {
    const [from, to] = spans.get(node.number);
    const gap = Math.min(3, unit * 0.12);
    const up = top.has(node.number) ? top.get(node.number) : node.height + 1;
    const box = { class: node.state, x: from * unit + gap / 2, y: (rows - up) * 10 + 0.5, width: Math.max((to - from) * unit - gap, 0.5), height: (up - node.height) * 10 - 1 };
    const by = node.prover ? `, ${node.prover}` : "";
    const took = node.seconds === null ? "" : `, ${duration(node.seconds)}`;
    return titled(svg("rect", box), `${node.kind} ${node.number}: ${node.state}${by}${took}${node.attempts ? `, failed ${node.attempts} times` : ""}`);
  });
  const picture = svg("svg", { class: "tree", viewBox: `0 0 1000 ${rows * 10}`, preserveAspectRatio: "none", role: "img", "aria-label": `${job.tasks.done} of ${all(job.tasks)} tasks proven` }, ...shapes);
  picture.style.height = `${Math.min(rows * 15, 140)}px`;
  return picture;
}

function levels({ levels }) {
  const rows = [...levels].reverse().flatMap(({ kind, height, tasks }) => [
    el("span", {}, `${kind} ${height}`), bar(tasks), el("span", { class: "number" }, `${number(tasks.done)} / ${number(all(tasks))}`),
  ]);
  return el("div", { class: "levels" }, ...rows);
}

function picture(row) {
  const tree = trees.get(row.id)?.tree;
  if (tree?.nodes.length) return icicle(tree);
  if (tree?.levels.length) return levels(tree);
  return el("div", { class: "levels" }, el("span", {}, "all"), bar(row.tasks), el("span", {}, ""));
}

function jobs() {
  const open = state.jobs.list.filter((row) => row.state === "open").slice(0, TREES);
  find("jobs-note").textContent = state.jobs.open > open.length ? `the ${open.length} oldest of ${number(state.jobs.open)}` : "each tree fills up from its leaves";
  const tiles = open.map((row) => {
    const name = row.stream ? `${row.stream} ${row.first} to ${row.first + row.count - 1}` : row.id.slice(0, 12);
    const eta = row.eta_s === null ? "" : `, done in ${duration(row.eta_s)}`;
    return el("article", { class: "job", "data-job": row.id },
      el("p", {}, el("bdi", { title: row.id }, `${row.machine} · ${name}`), el("b", {}, percent(row.tasks.done, all(row.tasks)))),
      picture(row),
      el("p", {}, el("span", {}, `${number(row.tasks.done)} of ${number(all(row.tasks))} tasks${eta}`), el("span", {}, duration(age(row.submitted)))));
  });
  find("trees").replaceChildren(...(tiles.length ? tiles : [el("p", { class: "none" }, "no job is open")]));
}

function throughput() {
  const counts = state.throughput;
  const width = find("throughput").clientWidth || 500, height = 150, low = height - 20;
  const most = Math.max(1, ...counts), step = width / counts.length;
  const shapes = counts.map((count, at) => svg("rect", { class: "done", x: at * step, y: low - (count / most) * (low - 18), width: Math.max(step - 1, 1), height: (count / most) * (low - 18) }));
  const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor }, words);
  find("throughput").replaceChildren(svg("svg", { class: "chart", width, height, role: "img", "aria-label": "proofs accepted over the last ten minutes" },
    ...shapes, svg("line", { class: "axis", x1: 0, x2: width, y1: low, y2: low }),
    text(0, 12, "start", `at most ${number(most * 60 / state.step_s)} a minute`), text(0, height - 4, "start", "10 min ago"), text(width, height - 4, "end", "now")));
}

function delay() {
  const forecast = state.forecast;
  if (!forecast || !forecast.curve.length) return find("delay").replaceChildren(el("p", { class: "none" }, "no rates measured yet"));
  const width = find("delay").clientWidth || 500, height = 150, left = 84, low = height - 20, right = width - 10;
  const curve = forecast.curve;
  const most = Math.max(...curve.map((point) => point.delay_s), 1e-9), last = Math.max(...curve.map((point) => point.provers), 2);
  const x = (provers) => left + ((provers - 1) / (last - 1)) * (right - left);
  const y = (seconds) => low - (seconds / most) * (low - 12);
  const text = (at, up, anchor, words, kind = "") => svg("text", { x: at, y: up, "text-anchor": anchor, class: kind }, words);
  const shapes = [0, 0.5, 1].flatMap((part) => [
    svg("line", { class: "axis", x1: left, x2: right, y1: y(part * most), y2: y(part * most) }),
    text(left - 8, y(part * most) + 4, "end", part ? duration(part * most) : "0"),
  ]);
  shapes.push(svg("path", { class: "curve", d: curve.map((point, at) => `${at ? "L" : "M"}${x(point.provers)} ${y(point.delay_s)}`).join("") }));
  shapes.push(text(left, height - 4, "start", "1 prover"), text(right, height - 4, "end", `${last} provers`));
  const now = curve.find((point) => point.provers === forecast.provers);
  if (now) {
    shapes.push(svg("circle", { class: "now", cx: x(now.provers), cy: y(now.delay_s), r: 5 }));
    // The curve falls: its upper right is free.
    shapes.push(text(right, 28, "end", `now: ${now.provers} provers, ${duration(now.delay_s)}`, "strong"));
  }
  find("delay").replaceChildren(svg("svg", { class: "chart", width, height, role: "img", "aria-label": "delay against provers" }, ...shapes));
}

function provers() {
  const { list, working, idle, gone, quarantined } = state.provers;
  const known = working + idle + gone + quarantined;
  find("provers-note").textContent = [[working, "working"], [idle, "idle"], [gone, "gone"], [quarantined, "quarantined"]]
    .filter(([count]) => count).map(([count, name]) => `${number(count)} ${name}`).join(", ") + (known > list.length ? `; ${list.length} are listed` : "");
  const colours = { working: "leased", idle: "done", gone: "waiting", quarantined: "failed" };
  const caught = list.some((row) => row.why);
  const rows = list.map((row) => {
    const words = row.state === "gone" ? `gone for ${duration(age(row.seen))}` : row.state;
    const cells = [cell(row.name), dotted(words, colours[row.state]), cell(row.device, "wide"), cell(bytes(row.memory), "number", "memory"),
      cell(number(row.leased), "number", "leased"), cell(number(row.done), "number", "done"), cell(number(row.refused), "number", "refused")];
    return [...cells, ...(caught ? [row.why ? cell(row.why, "wide") : el("td")] : [])];
  });
  const why = caught ? [["quarantined for"]] : [];
  table("provers", [["name"], ["state"], ["device"], ["memory", "number"], ["leased", "number"], ["done", "number"], ["refused", "number"], ...why], rows, "no prover has registered yet");
}

function ended() {
  const colours = { done: "done", failed: "failed", cancelled: "waiting" };
  const list = state.jobs.list.filter((row) => row.state !== "open");
  const failed = list.some((row) => row.error);
  const rows = list.map((row) => {
    const cells = [el("td", { title: row.id }, el("code", {}, row.id.slice(0, 12))), dotted(row.state, colours[row.state]), cell(row.machine), cell(number(row.tasks.done), "number", "tasks"),
      cell(duration((row.ended - row.submitted) / 1000), "number", "delay"), cell(`${duration(age(row.ended))} ago`, "number")];
    return [...cells, ...(failed ? [row.error ? cell(row.error, "wide") : el("td")] : [])];
  });
  const why = failed ? [["why"]] : [];
  table("ended", [["job"], ["state"], ["machine"], ["tasks", "number"], ["delay", "number"], ["ended", "number"], ...why], rows, "no job has ended yet");
}

function draw() {
  if (!state) return;
  for (const part of [tiles, queue, jobs, throughput, delay, provers, ended]) part();
}

// Trees of which something changed, one after the other: the aggregator is not to be asked for many at a time.
let fetching = false, again = false;
async function grow() {
  again = true;
  if (fetching) return;
  fetching = true;
  while (again) {
    again = false;
    const open = state.jobs.list.filter((row) => row.state === "open").slice(0, TREES);
    for (const id of trees.keys()) if (!open.some((row) => row.id === id)) trees.delete(id);
    for (const row of open) {
      const counts = JSON.stringify(row.tasks);
      if (trees.get(row.id)?.counts === counts) continue;
      // One that fails is asked for again with the next state; the stream says whether the aggregator is out of reach.
      const reply = await fetch(`/api/jobs/${row.id}`).catch(() => null);
      if (reply?.ok) trees.set(row.id, { counts, tree: await reply.json() });
    }
    jobs();
  }
  fetching = false;
}

function trouble(words) {
  find("trouble").hidden = !words;
  find("trouble").textContent = words;
}
function link(kind, words) {
  find("link").className = kind;
  find("link").textContent = words;
}
async function show(data) {
  state = data;
  offset = state.now - Date.now();
  trouble("");
  draw();
  await grow();
}

async function once() {
  const reply = await fetch("/api/state");
  const data = await reply.json();
  if (!reply.ok) return trouble(data.error);
  link("live", `version ${data.release}`);
  await show(data);
  document.body.dataset.drawn = "yes";
}

function live() {
  const stream = new EventSource("/events");
  stream.onmessage = (event) => {
    const data = JSON.parse(event.data);
    link("live", `live · version ${data.release}`);
    show(data);
  };
  stream.addEventListener("trouble", (event) => trouble(JSON.parse(event.data).error));
  stream.onerror = () => {
    link("lost", "out of reach, trying again");
    // Turned away rather than cut off: it does not come back by itself.
    if (stream.readyState === EventSource.CLOSED) setTimeout(live, 5000);
  };
}

for (const kind of ["error", "unhandledrejection"]) {
  window.addEventListener(kind, (event) => {
    document.body.dataset.error = String(event.message || event.reason);
    trouble(`this page failed: ${document.body.dataset.error}`);
  });
}
window.addEventListener("resize", draw);
// Ages grow although nothing changes.
setInterval(() => { if (state) { tiles(); } }, 1000);
// "#still": one picture, no stream; for tests and printers.
if (location.hash === "#still") once(); else live();

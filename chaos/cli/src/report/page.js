// Puts the page together: head, diagram with its tools, what was found, tables, glossary.

const run = readRun(JSON.parse(byId("data").textContent));

// ---- head
const MARKS = { true: "✓", false: "✗", unknown: "?" };
const ADVERBS = { true: "valid", false: "invalid", unknown: "unknown" };

function overall() {
  const bad = run.verdicts.filter((v) => v.valid === false);
  if (bad.length || run.violations.length || (run.anomalies.length && !run.verdicts.length)) {
    const first = run.anomalies[0];
    const kinds = [...new Set(run.anomalies.map((a) => anomalyWords(a.type).title))];
    const models = [...new Set(bad.map((v) => v.model).filter(Boolean))].join(" and ");
    if (first) {
      return ["false", `Invalid: ${kinds.slice(0, 3).join(", ")}${kinds.length > 3 ? " and more" : ""}.${models ? ` These answers break ${models}.` : ""}`];
    }
    const v = run.violations[0];
    if (v) return ["false", `Invalid: the promise “${v.invariant}” was broken${v.at === null ? "" : ` at ${seconds(v.at)}`}.`];
    return ["false", `Invalid: ${bad[0].why || `the answers break ${models || "what was promised"}`}.`];
  }
  const open = run.verdicts.find((v) => v.valid === "unknown");
  if (open) return ["unknown", `Unknown: ${open.why || "the run cannot be judged"}.`.replace(/\.\.$/, ".")];
  if (!run.verdicts.length) return ["unknown", "Unknown: this report holds no verdict."];
  const models = [...new Set(run.verdicts.map((v) => v.model).filter(Boolean))];
  return ["true", `Valid: no answer contradicts ${models.length ? models.join(" or ") : "what was promised"}.`];
}

// The kinds of anomaly of a verdict's workload; of all, if the anomalies do not say whose they are.
function typesOf(verdict) {
  const its = run.anomalies.filter((a) => verdict.valid === false && (!a.workload || !verdict.workload || a.workload === verdict.workload));
  return [...new Set(its.map((a) => a.type))].slice(0, 3);
}

function makeHead() {
  const [valid, sentence] = overall();
  const source = { simulated: "A simulated run", live: "A run on real processes", foreign: "A run on servers of another make" }[run.source] ?? "A run";
  const length = `${((run.to - run.from) / 1000).toFixed(1)} s`;
  byId("source").textContent = `${source}, ${length}, ${many(run.nodes.length, "node")}, ${many(run.clients.length, "client")}, ${many(run.operations.length, "operation")}, ${many(run.faults.length, "fault")}`;
  byId("verdict").className = `verdict v-${valid}`;
  byId("verdict").replaceChildren(el("span", { class: "mark", "aria-hidden": "true" }, MARKS[valid]), el("span", {}, sentence));
  byId("verdicts").append(...run.verdicts.map((v) => {
    const words = modelWords(v.model);
    const counts = Object.entries(v.counts).filter(([, n]) => typeof n === "number");
    const names = { ok: "ok", fail: "refused", info: "unknown" };
    return el("div", { class: `card v-${v.valid}` },
      el("h2", {}, el("span", { class: "mark", "aria-hidden": "true" }, MARKS[v.valid]), v.workload || "all workloads", el("span", { class: "adverb" }, ADVERBS[v.valid])),
      v.model ? el("p", {}, el("b", {}, v.model), words ? `: ${words}` : "") : null,
      v.why ? el("p", { class: "why" }, v.why) : null,
      typesOf(v).map((type) => el("p", {}, el("b", {}, anomalyWords(type).title), `: ${anomalyWords(type).text || type}`)),
      counts.length ? el("p", { class: "counts" }, counts.flatMap(([name, n]) => [el("b", {}, n.toLocaleString("en")), ` ${names[name] ?? name} `])) : null);
  }));
  if (run.command) {
    const copied = el("span", { role: "status" });
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(run.command);
        copied.textContent = "copied";
      } catch {
        // Without leave to use the clipboard the text is at least marked, ready to be copied by hand.
        getSelection().selectAllChildren(byId("command-text"));
        copied.textContent = document.execCommand("copy") ? "copied" : "marked; copy it with the keyboard";
      }
    };
    byId("command").hidden = false;
    byId("command").append(el("span", {}, "The same again: "), el("code", { id: "command-text" }, run.command), el("button", { type: "button", onclick: copy }, "Copy"), copied);
  }
  const left = ["messages", "operations", "events"].filter((name) => number(run.leftOut[name]) > 0)
    .map((name) => many(run.leftOut[name], name.slice(0, -1)));
  if (number(run.leftOut.texts) > 0) left.push(`parts of ${many(run.leftOut.texts, "long text or list", "long texts or lists")}`);
  if (left.length) {
    byId("left-out").hidden = false;
    byId("left-out").textContent = `To keep this file small, it leaves out ${left.join(", ")}: those farthest from what was found.`;
  }
}

// ---- the diagram's tools
let at = -1;
let shown = [];
const slider = el("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "Step through what happened" });
const said = el("p", { class: "said", role: "status" });
const status = el("span", { class: "window", role: "status" });

const diagram = makeDiagram(run, byId("diagram"), (state) => {
  shown = run.moments.filter((m) => m.at >= state.a && m.at <= state.b);
  at = state.cursor ? shown.indexOf(state.cursor) : -1;
  slider.max = String(Math.max(shown.length - 1, 0));
  slider.value = String(Math.max(at, 0));
  slider.disabled = !shown.length;
  const digits = state.b - state.a < 20 ? 5 : 3;
  const [from, to] = [Math.max(state.a, run.from), Math.min(state.b, run.to)];
  status.textContent = `${seconds(from, digits)} to ${seconds(to, digits)} (${took(Math.max(to - from, 0))})`
    + (state.crowded ? `; ${state.inWindow.toLocaleString("en")} messages, too many to draw: zoom in` : "")
    + (number(run.leftOut.operations) > 0 ? "; not all operations are in this file" : "");
});
const found = makeFound(run, byId("found"), diagram);

function stepTo(place) {
  if (!shown.length) return (said.textContent = "Nothing happens within this window.");
  const m = shown[Math.max(0, Math.min(place, shown.length - 1))];
  at = shown.indexOf(m);
  slider.value = String(at);
  said.replaceChildren(el("b", {}, seconds(m.at, 6).replace(/000 s$/, " s")), ` ${m.say}`);
  slider.setAttribute("aria-valuetext", `${seconds(m.at)}: ${short(m.say)}`);
  diagram.set({ cursor: m });
}
function pick(match) {
  const m = run.moments.find(match);
  if (!m) return;
  said.replaceChildren(el("b", {}, seconds(m.at)), ` ${m.say}`);
  diagram.set({ cursor: m });
}
const step = (by) => {
  if (at < 0 && diagram.state.cursor) {
    // The cursor has left the window: go on from its edge.
    return stepTo(by > 0 ? 0 : shown.length - 1);
  }
  stepTo(at < 0 ? (by > 0 ? 0 : shown.length - 1) : at + by);
};
const whole = () => diagram.show(run.from - (run.to - run.from) * 0.02, run.to + (run.to - run.from) * 0.02);
function toFound() {
  if (found.chosen && windowOfAnomaly(run, found.chosen)) return found.go(found.chosen);
  const v = run.violations.find((v) => v.at !== null);
  if (!v) return whole();
  const width = Math.min((run.to - run.from) * 0.04, 800);
  diagram.show(v.at - width * 0.85, v.at + width * 0.15);
}
const somethingFound = run.anomalies.some((a) => windowOfAnomaly(run, a)) || run.violations.some((v) => v.at !== null);

function makeTools() {
  const button = (text, label, act) => el("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  byId("toolbar").append(
    el("button", { type: "button", onclick: whole }, "Whole run"),
    somethingFound ? el("button", { type: "button", onclick: toFound }, run.anomalies.length ? "The anomaly" : "The broken promise") : "",
    el("span", { class: "group" }, button("−", "Zoom out", () => diagram.zoom(1.6)), button("+", "Zoom in", () => diagram.zoom(1 / 1.6))),
    el("span", { class: "group" }, button("◂", "Earlier", () => diagram.pan(-0.3)), button("▸", "Later", () => diagram.pan(0.3))), status);
  slider.addEventListener("input", () => stepTo(Number(slider.value)));
  byId("stepper").append(button("←", "Step back", () => step(-1)), slider, button("→", "Step on", () => step(1)), said);
  said.textContent = "Step through what happened in this window, one event at a time.";
  byId("diagram").addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const act = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => diagram.zoom(1 / 1.6), "=": () => diagram.zoom(1 / 1.6),
      "-": () => diagram.zoom(1.6), 0: whole, a: toFound, A: toFound }[e.key];
    if (act) (e.preventDefault(), act());
  });
  diagram.onPick = (hit) => {
    if (hit?.op) pick((m) => m.op === hit.op);
    else if (hit?.event) pick((m) => m.event === hit.event);
    else if (hit?.faults) pick((m) => m.fault === hit.faults[0]);
  };
}

function makeLegend() {
  const key = (inner, text) => el("span", {}, draw("svg", { width: 30, height: 14, "aria-hidden": "true" }, inner), text);
  const bar = (cls) => draw("g", { class: `op ${cls}` }, draw("rect", { x: 1, y: 2, width: 28, height: 10, rx: cls === "info" ? 0 : 2 }),
    cls === "info" ? draw("path", { class: "begin", d: "M1 2v10" }) : null);
  byId("legend").append(
    key(bar("ok"), "ok"), key(bar("fail"), "refused"), key(bar("info"), "outcome unknown: its end is open"),
    key(draw("g", { class: "bands" }, draw("g", { class: "fault" }, draw("rect", { x: 1, y: 1, width: 28, height: 12 }), draw("line", { x1: 1, x2: 1, y1: 1, y2: 13 }))), "fault"),
    key(draw("g", { class: "events" }, draw("line", { x1: 15, x2: 15, y1: 1, y2: 13 })), "event of a node"));
  const events = run.events.map((e) => e.what);
  if (events.some((w) => w.startsWith("elected") || w.startsWith("leader_changed"))) byId("legend").append(key(draw("g", { class: "roles" }, draw("rect", { class: "leader", x: 1, y: 3, width: 28, height: 8 })), "leader"));
  if (events.some((w) => w.startsWith("lease_usable"))) byId("legend").append(key(draw("g", { class: "roles" }, draw("rect", { class: "lease", x: 1, y: 6, width: 28, height: 3 })), "may read by itself (lease)"));
  if (diagram.roles.some((r) => r.role === "down")) byId("legend").append(key(draw("g", { class: "roles" }, draw("rect", { class: "down", x: 1, y: 2, width: 28, height: 10 })), "down"));
  if (run.messages.length) {
    byId("legend").append(key(draw("g", { class: "message" }, draw("path", { d: `M2 2L26 11${head(2, 2, 26, 11)}` })), "message"),
      key(draw("g", { class: "message lost" }, draw("path", { d: `M2 2L20 9${cross(20, 9)}` })), "lost"));
  }
}

function makeKinds() {
  const counts = new Map();
  run.messages.forEach((m) => counts.set(m.kind, (counts.get(m.kind) ?? 0) + 1));
  if (!counts.size) return;
  const kinds = [...counts].sort((a, b) => b[1] - a[1]);
  const boxes = kinds.map(([kind, n]) => {
    const input = el("input", { type: "checkbox", checked: true, onchange: () => {
      diagram.state.hidden[input.checked ? "delete" : "add"](kind);
      diagram.repaint();
    } });
    return [input, el("label", {}, input, kind || "without a kind", el("small", {}, n.toLocaleString("en")))];
  });
  const all = (on) => () => {
    kinds.forEach(([kind], i) => ((boxes[i][0].checked = on), diagram.state.hidden[on ? "delete" : "add"](kind)));
    diagram.repaint();
  };
  byId("kinds").hidden = false;
  byId("kinds").append(el("summary", {}, `Messages by kind (${run.messages.length.toLocaleString("en")})`),
    el("div", {}, el("button", { type: "button", onclick: all(true) }, "All"), el("button", { type: "button", onclick: all(false) }, "None"), boxes.map(([, label]) => label)));
}

function makeGlossary() {
  const types = [...new Set(run.anomalies.map((a) => a.type))], models = [...new Set(run.verdicts.map((v) => v.model).filter(Boolean))];
  const invariants = [...new Set(run.violations.map((v) => v.invariant))].filter((i) => INVARIANTS[i]);
  const first = [
    ...types.map((t) => [`${anomalyWords(t).title} (${t})`, anomalyWords(t).text]),
    ...models.map((m) => [m, modelWords(m)]),
    ...invariants.map((i) => [i, INVARIANTS[i]]),
  ].filter(([, text]) => text);
  const terms = (all) => el("dl", {}, all.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]));
  byId("glossary").append(el("h2", {}, "Words"));
  if (first.length) byId("glossary").append(terms(first));
  byId("glossary").append(el("details", {}, el("summary", {}, "All words"),
    el("h3", {}, "What one transaction does to another"), terms(Object.entries(RELATIONS)),
    el("h3", {}, "Anomalies"), terms(Object.entries(ANOMALIES).map(([name, [title, text]]) => [`${title} (${name})`, text])),
    el("h3", {}, "Models, and what each promises"), terms(Object.entries(MODELS)),
    el("p", {}, "strong-session-…:", SESSION, " strong-…:", STRONG)));
}

// What the verdict rests on, whatever it is.
function makeTried() {
  const count = (all, of) => [...all.reduce((m, one) => m.set(of(one), (m.get(of(one)) ?? 0) + 1), new Map())].sort((a, b) => b[1] - a[1]);
  const items = (pairs) => el("ul", {}, pairs.map(([name, n]) => el("li", {}, `${name || "other"}: ${n.toLocaleString("en")}`)));
  const box = el("div", { class: "tried" }, el("h3", {}, "What was tried"));
  if (!run.operations.length && !run.faults.length) return;
  const named = { ok: "ok", fail: "refused", info: "outcome unknown" };
  if (run.operations.length) {
    box.append(el("p", {}, `${many(run.operations.length, "operation")}: ${count(run.operations, (o) => named[o.outcome]).map(([name, n]) => `${n.toLocaleString("en")} ${name}`).join(", ")}.`));
    const workloads = count(run.operations, (o) => o.workload);
    if (workloads.length > 1) box.append(items(workloads));
  }
  box.append(el("p", {}, run.faults.length ? `${many(run.faults.length, "fault")}, by kind:` : "No fault was made."));
  if (run.faults.length) box.append(items(count(run.faults, (f) => f.kind)));
  const worst = [...run.outages].filter((o) => o.longest !== null).sort((a, b) => b.longest - a.longest)[0];
  if (worst) {
    const fault = run.faults.find((f) => f.id === worst.fault);
    box.append(el("p", {}, `The longest time without an operation that ended ok: ${took(worst.longest)} (${worst.what || fault?.say || `fault ${word(worst.fault)}`}).`));
  }
  byId("found").append(box);
}

makeHead();
makeTools();
makeLegend();
makeKinds();
makeTried();
const tables = makeTables(run, byId("tables"), diagram, found, pick);
makeGlossary();
byId("found").addEventListener("click", (e) => e.target.closest("[data-anomaly]") && tables.refill());
if (run.anomalies.length) {
  found.show(run.anomalies[0]);
  tables.refill();
}
if (somethingFound) toFound();
else whole();
// The first picture does not wait for a frame.
diagram.paint();
document.documentElement.dataset.ready = "yes";

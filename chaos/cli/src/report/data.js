// The run as the rest of the page uses it: every field may be missing in what was handed over, none is here.

const el = (tag, attrs, ...kids) => dress(document.createElement(tag), attrs, kids);
const draw = (tag, attrs, ...kids) => dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attrs, kids);

function dress(node, attrs, kids) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...kids.flat().filter((kid) => kid !== null && kid !== undefined));
  return node;
}

const byId = (id) => document.getElementById(id);
const list = (value) => (Array.isArray(value) ? value : []);
const records = (value) => list(value).filter((one) => one && typeof one === "object" && !Array.isArray(one));
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const word = (value) => (value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
const many = (n, one, more = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;
const seconds = (ms, digits = 3) => `${(ms / 1000).toFixed(digits)} s`;
const took = (ms) => (ms >= 10000 ? seconds(ms, 1) : `${Number(ms.toPrecision(3))} ms`);

function readRun(raw) {
  const data = raw && typeof raw === "object" && !Array.isArray(raw) ? raw : {};
  const operations = records(data.operations).map((o, place) => ({
    id: o.id ?? `?${place}`,
    client: word(o.client ?? o.process) || "?",
    process: word(o.process),
    node: word(o.node),
    workload: word(o.workload),
    f: word(o.f),
    asked: word(o.asked),
    got: word(o.got),
    error: word(o.error),
    outcome: ["ok", "fail"].includes(o.outcome) ? o.outcome : "info",
    from: number(o.from_ms) ?? 0,
    to: number(o.to_ms),
    place: number(o.place),
  }));
  operations.sort((a, b) => a.from - b.from);
  const faults = records(data.faults).map((f, place) => ({
    id: f.id ?? place,
    kind: word(f.kind),
    say: word(f.say) || word(f.kind) || "fault",
    nodes: list(f.nodes).map(word),
    from: number(f.from_ms) ?? 0,
    to: number(f.to_ms),
  }));
  faults.sort((a, b) => a.from - b.from);
  const events = records(data.events).map((e) => ({ node: word(e.node), at: number(e.at_ms) ?? 0, what: word(e.what) }));
  events.sort((a, b) => a.at - b.at);
  const names = list(data.messages?.names).map(word);
  const messages = list(data.messages?.rows).map(([from, to, kind, at, span, lost, of]) => ({
    from: names[from] ?? "",
    to: names[to] ?? "",
    kind: names[kind] ?? "",
    at: number(at) ?? 0,
    end: number(span) === null ? null : (number(at) ?? 0) + span,
    lost: Boolean(lost),
    of: list(of),
  }));
  messages.sort((a, b) => a.at - b.at);
  const violations = records(data.violations).map((v) => ({ invariant: word(v.invariant), at: number(v.at_ms), what: word(v.what) }));

  let from = number(data.from_ms) ?? Infinity, to = number(data.to_ms) ?? -Infinity;
  const see = (t) => {
    if (t === null) return;
    from = Math.min(from, t);
    to = Math.max(to, t);
  };
  operations.forEach((o) => (see(o.from), see(o.to)));
  faults.forEach((f) => (see(f.from), see(f.to)));
  events.forEach((e) => see(e.at));
  messages.forEach((m) => see(m.at));
  violations.forEach((v) => see(v.at));
  if (!(from < to)) [from, to] = Number.isFinite(from) ? [from, from + 1000] : [0, 1000];
  faults.forEach((f) => (f.until = f.to ?? to));

  const nodes = list(data.nodes).map(word);
  const meet = (node) => {
    if (node && !nodes.includes(node)) nodes.push(node);
  };
  operations.forEach((o) => meet(o.node));
  events.forEach((e) => meet(e.node));
  messages.forEach((m) => (meet(m.from), meet(m.to)));
  faults.forEach((f) => f.nodes.forEach(meet));
  const clients = [...new Set(operations.map((o) => o.client))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));

  // Where the answer never came, the bar goes on until the same client does something else.
  const next = new Map();
  for (let i = operations.length - 1; i >= 0; i--) {
    const op = operations[i];
    op.until = op.to ?? Math.max(op.from, next.get(op.client) ?? to);
    next.set(op.client, op.from);
  }
  const byOp = new Map(operations.map((o) => [String(o.id), o]));
  const anomalies = records(data.anomalies).map((a, place) => {
    const members = records(a.operations).map((m) => ({
      name: word(m.name) || `#${word(m.id)}`,
      id: m.id,
      op: byOp.get(String(m.id)) ?? null,
      line: m.line,
      process: word(m.process),
      node: word(m.node),
      outcome: word(m.outcome),
      value: word(m.value),
    }));
    const member = (name) => members.find((m) => m.name === name) ?? null;
    const cycle = records(a.cycle)
      .map((e) => ({ from: member(word(e.from)), to: member(word(e.to)), rel: word(e.rel), why: word(e.why) }))
      .filter((e) => e.from && e.to);
    return { place, workload: word(a.workload), type: word(a.type), broken: list(a.models_broken).map(word), why: word(a.why), members, cycle };
  });
  const verdicts = records(data.verdicts).map((v) => ({
    workload: word(v.workload),
    model: word(v.model),
    valid: v.valid === true || v.valid === false ? v.valid : "unknown",
    why: word(v.why),
    counts: v.counts && typeof v.counts === "object" ? v.counts : {},
  }));
  const outages = records(data.outages).map((o) => ({
    fault: o.fault,
    what: word(o.what),
    longest: number(o.longest_ms),
    nodes: o.node_ms && typeof o.node_ms === "object" ? o.node_ms : {},
  }));
  return {
    title: word(data.title), source: word(data.source), command: word(data.command), leftOut: records([data.left_out])[0] ?? {},
    verdicts, violations, from, to, nodes, clients, operations, byOp, faults, events, messages, anomalies, outages,
    moments: moments(operations, faults, events, violations, anomalies),
  };
}

// Everything that happens at one time, in order: what the step keys go through.
function moments(operations, faults, events, violations, anomalies) {
  const all = [];
  const name = new Map();
  anomalies.forEach((a) => a.members.forEach((m) => m.op && name.set(m.op, name.get(m.op) ?? m.name)));
  for (const op of operations) {
    const who = `${name.has(op) ? `${name.get(op)}, ` : ""}client ${op.client}`;
    const at = op.node ? ` ${op.node}` : "";
    all.push({ at: op.from, op, say: `${who} asks${at}: ${op.asked || op.f || "an operation"}` });
    if (op.to === null) continue;
    const answer = { ok: "is answered", fail: "is refused", info: "does not learn what became of" }[op.outcome];
    const got = op.outcome === "ok" ? op.got : op.error || op.got;
    const what = op.outcome === "info" ? `${answer} ${op.asked || op.f || "its operation"}` : answer;
    all.push({ at: op.to, op, say: `${who} ${what}${op.node && op.outcome !== "info" ? ` by ${op.node}` : ""}${got ? `: ${got}` : ""}` });
  }
  for (const fault of faults) {
    all.push({ at: fault.from, fault, say: `fault ${fault.id} begins: ${fault.say}` });
    if (fault.to !== null && fault.to > fault.from) all.push({ at: fault.to, fault, say: `fault ${fault.id} is over: ${fault.say}` });
  }
  for (const event of events) all.push({ at: event.at, event, say: `${event.node || "somebody"}: ${event.what}` });
  for (const v of violations) {
    if (v.at !== null) all.push({ at: v.at, violation: v, say: `seen to be broken, ${v.invariant}: ${v.what}` });
  }
  return all.sort((a, b) => a.at - b.at);
}

// What was found: anomalies with their cycles, broken promises, and what lights up in the diagram for each.

// What an edge puts in the light: two operations, the faults of that time, and the messages that ordered their
// write-sets; where nobody knows these, those between their nodes.
function lightOfEdge(run, edge) {
  return light(run, [edge.from, edge.to], edge);
}

function light(run, members, edge = null) {
  const ops = members.map((m) => m.op).filter(Boolean);
  const none = { edge, members, ops: new Set(ops), faults: new Set(), message: () => false, way: new Set(), from: null, to: null };
  if (!ops.length) return none;
  const from = Math.min(...ops.map((o) => o.from)), to = Math.max(...ops.map((o) => o.to ?? o.from));
  const nodes = new Set(ops.map((o) => o.node).filter(Boolean));
  const between = (m) => (nodes.size > 1 ? nodes.has(m.from) && nodes.has(m.to) : nodes.has(m.from) || nodes.has(m.to));
  const way = new Set(run.messages.filter((m) => ops.some((o) => m.of.includes(o.id))));
  return {
    ...none, from, to, nodes, way,
    faults: new Set(run.faults.filter((f) => f.from <= to && f.until >= from)),
    message: way.size ? (m) => way.has(m) : (m) => m.at <= to && (m.end ?? m.at) >= from && between(m),
  };
}

// Whose write-sets these are: "the write-sets of T1 (entry 57) and T2 (entry 61)".
function writesOf(light) {
  const named = light.members.filter((m) => m.op && m.op.place !== null).map((m) => `${m.name} (entry ${m.op.place})`);
  const once = [...new Set(named)];
  return `the write-${once.length === 1 ? "set" : "sets"} of ${once.join(" and ")}`;
}

// The window in which all of these can be seen.
function windowOf(run, from, to) {
  const margin = Math.max((to - from) * 0.18, Math.min((run.to - run.from) * 0.002, 40));
  return [from - margin, to + margin];
}

function windowOfAnomaly(run, anomaly) {
  const all = light(run, anomaly.members);
  return all.from === null ? null : windowOf(run, all.from, all.to);
}

// T1 -rw-> T2 -wr-> T1 as a circle, clockwise from the top.
function cycleGraph(anomaly, choose) {
  const names = [];
  anomaly.cycle.forEach((e) => [e.from, e.to].forEach((m) => names.includes(m) || names.push(m)));
  const n = names.length;
  const r = n <= 1 ? 0 : n === 2 ? 72 : Math.max(96, n * 24), size = r * 2 + 130, c = size / 2, knob = 23;
  const angle = (i) => (n === 2 ? Math.PI : -Math.PI / 2) + (i * 2 * Math.PI) / n;
  const at = (m) => {
    const a = angle(names.indexOf(m));
    return [c + r * Math.cos(a), c + r * Math.sin(a)];
  };
  const label = anomaly.cycle.map((e) => `${e.from.name} ${e.rel} ${e.to.name}`).join(", ");
  const high = n === 2 ? 160 : n === 1 ? 130 : size - 70, top = n === 2 ? c - 80 : n === 1 ? c - 95 : 35;
  const g = draw("svg", { viewBox: `0 ${top} ${size} ${high}`, class: "cycle", role: "group", "aria-label": `Cycle: ${label}` });
  anomaly.cycle.forEach((edge, i) => {
    const [x1, y1] = at(edge.from), [x2, y2] = at(edge.to);
    let path, lx, ly;
    if (edge.from === edge.to) {
      path = `M${x1 - 12} ${y1 - knob}C${x1 - 50} ${y1 - 80} ${x1 + 50} ${y1 - 80} ${x1 + 12} ${y1 - knob - 2}${head(x1 + 30, y1 - 60, x1 + 12, y1 - knob - 2, 8)}`;
      [lx, ly] = [x1, y1 - 62];
    } else {
      const length = Math.hypot(x2 - x1, y2 - y1), [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
      // Edges bend outwards, so that two between the same knobs stay apart.
      const bend = n === 2 ? 62 : length * 0.16, [bx, by] = [(x1 + x2) / 2 + uy * bend, (y1 + y2) / 2 - ux * bend];
      const out = (px, py) => {
        const d = Math.hypot(bx - px, by - py);
        return [px + ((bx - px) / d) * (knob + 3), py + ((by - py) / d) * (knob + 3)];
      };
      const [sx, sy] = out(x1, y1), [ex, ey] = out(x2, y2);
      path = `M${sx} ${sy}Q${bx} ${by} ${ex} ${ey}${head(bx, by, ex, ey, 9)}`;
      [lx, ly] = [(sx + ex) / 4 + bx / 2, (sy + ey) / 4 + by / 2];
    }
    const one = draw("g", { class: `edge ${edge.rel}`, tabindex: "0", role: "button", "aria-pressed": "false", "data-edge": i,
      "aria-label": `${edge.from.name} ${edge.rel} ${edge.to.name}. ${edge.why}` },
      draw("path", { class: "reach", d: path }), draw("path", { class: "line", d: path }),
      draw("rect", { x: lx - 8 - edge.rel.length * 3.6, y: ly - 10, width: edge.rel.length * 7.2 + 16, height: 20, rx: 10 }),
      draw("text", { x: lx, y: ly + 4.5, "text-anchor": "middle" }, edge.rel));
    g.append(one);
    choose(one, edge);
  });
  for (const m of names) {
    const [px, py] = at(m);
    g.append(draw("g", { class: `knob ${m.op?.outcome ?? m.outcome}` }, draw("circle", { cx: px, cy: py, r: knob }),
      draw("text", { x: px, y: py + (m.node ? 0 : 5), "text-anchor": "middle" }, m.name),
      m.node ? draw("text", { x: px, y: py + 13, "text-anchor": "middle", class: "where" }, m.node) : null));
  }
  return g;
}

function makeFound(run, box, diagram) {
  let chosen = null, pinned = null, buttons = [], ops = new Map();
  const panel = el("div", { class: "anomaly-panel", "aria-live": "polite" });

  const apply = (light) => {
    diagram.set({ light });
    for (const [button, edge] of buttons) {
      button.classList.toggle("lit", Boolean(light && light.key === edge));
      button.setAttribute("aria-pressed", String(Boolean(pinned && pinned.key === edge)));
    }
  };
  // A thing that lights up while it is pointed at, and stays lit once it is chosen.
  const lights = (make) => (button, key) => {
    const mine = Object.assign(make(key), { key });
    buttons.push([button, key]);
    const over = () => apply(mine), out = () => apply(pinned);
    button.addEventListener("mouseenter", over);
    button.addEventListener("mouseleave", out);
    button.addEventListener("focus", over);
    button.addEventListener("blur", out);
    const pick = () => {
      pinned = pinned?.key === key ? null : mine;
      if (pinned && mine.from !== null && (mine.from < diagram.state.a || mine.to > diagram.state.b)) {
        diagram.show(...windowOf(run, mine.from, mine.to));
      }
      apply(pinned ?? mine);
      if (!pinned) apply(null);
      tell();
    };
    button.addEventListener("click", pick);
    if (!(button instanceof HTMLElement)) {
      button.addEventListener("keydown", (e) => {
        if (e.key === "Enter" || e.key === " ") (e.preventDefault(), pick());
      });
    }
  };
  const note = el("p", { class: "light-note" });
  function tell() {
    if (!pinned) return (note.textContent = chosen?.cycle.length ? "Point at an arrow or a sentence: the diagram lights up what belongs to it. Choose it to keep the light on." : "");
    const messages = run.messages.filter(pinned.message).length;
    const faults = [...pinned.faults];
    note.replaceChildren(
      faults.length ? `In that time: ${faults.map((f) => f.say).join("; ")}. ` : "No fault was on in that time. ",
      messages && !pinned.way.size ? `${many(messages, "message")} between their nodes. ` : "",
      pinned.way.size ? `${many(messages, "message")} ordered ${writesOf(pinned)}: to the leader, to the logs of the others, and the first word of each. ` : "",
      el("button", { type: "button", onclick: () => ((pinned = null), apply(null), tell()) }, "Lights off"));
  }

  function show(anomaly) {
    chosen = anomaly;
    ops = new Map(anomaly.members.filter((m) => m.op).map((m) => [m.op, m.name]));
    pinned = null;
    buttons = [];
    const words = anomalyWords(anomaly.type);
    const edges = lights((edge) => lightOfEdge(run, edge)), members = lights((m) => light(run, [m]));
    const sentence = (edge) => {
      const b = el("button", { type: "button", class: "sentence" },
        el("span", { class: `rel ${edge.rel}` }, `${edge.from.name} –${edge.rel}→ ${edge.to.name}`), el("span", {}, edge.why || RELATIONS[edge.rel] || ""));
      edges(b, edge);
      return el("li", {}, b);
    };
    const member = (m) => {
      const outcome = m.op?.outcome ?? m.outcome;
      const b = el("button", { type: "button", class: "member" },
        el("span", { class: `name ${outcome}` }, m.name),
        el("span", {}, el("code", {}, short(m.value || m.op?.got || m.op?.asked || "")),
          el("small", {}, [`client ${m.op?.client ?? m.process}`, m.node && `on ${m.node}`, { ok: "ok", fail: "refused", info: "outcome unknown" }[outcome],
            m.op && m.op.place !== null && `entry ${m.op.place} of the log`, m.op ? `at ${seconds(m.op.from)}` : "not among the operations of this report", m.line !== undefined && `line ${m.line} of the history`].filter(Boolean).join(", "))));
      members(b, m);
      return el("li", {}, b);
    };
    const rels = [...new Set(anomaly.cycle.map((e) => e.rel))].filter((rel) => RELATIONS[rel]);
    panel.replaceChildren(
      el("h3", {}, words.title, " ", el("code", {}, anomaly.type)),
      words.text ? el("p", {}, words.text) : "",
      anomaly.cycle.length ? cycleGraph(anomaly, edges) : el("p", { class: "why" }, anomaly.why),
      anomaly.cycle.length ? el("ol", { class: "sentences" }, anomaly.cycle.map(sentence)) : "",
      note,
      rels.length ? el("dl", { class: "rels" }, rels.flatMap((rel) => [el("dt", {}, el("span", { class: `rel ${rel}` }, rel)), el("dd", {}, RELATIONS[rel])])) : "",
      el("h4", {}, "The operations"), el("ul", { class: "members" }, anomaly.members.map(member)),
      anomaly.broken.length ? el("p", { class: "broken" }, "Cannot hold here: ", anomaly.broken.join(", "), ".") : "");
    for (const b of box.querySelectorAll("[data-anomaly]")) b.setAttribute("aria-current", String(Number(b.dataset.anomaly) === anomaly.place));
    diagram.set({ anomaly, light: null });
    tell();
  }
  function go(anomaly) {
    const window = windowOfAnomaly(run, anomaly);
    if (window) diagram.show(...window);
  }

  if (run.anomalies.length > 1) {
    box.append(el("ul", { class: "choice" }, run.anomalies.map((a) =>
      el("li", {}, el("button", { type: "button", "data-anomaly": a.place, onclick: () => (show(a), go(a)) },
        `${a.place + 1}. ${anomalyWords(a.type).title}`, el("small", {}, a.workload))))));
  }
  if (run.anomalies.length) box.append(panel);
  if (run.violations.length) {
    const go = (v) => {
      const width = Math.min((run.to - run.from) * 0.02, 400);
      diagram.show(v.at - width * 0.8, v.at + width * 0.2);
    };
    box.append(el("h3", {}, run.anomalies.length ? "Promises that the judge saw broken" : "A promise was broken"),
      el("ul", { class: "violations" }, run.violations.map((v) => el("li", {},
        el("strong", {}, v.invariant), v.at === null ? "" : ` at ${seconds(v.at)}`, ": ", v.what,
        INVARIANTS[v.invariant] ? el("p", { class: "promise" }, "The promise: ", INVARIANTS[v.invariant]) : "",
        v.at === null ? "" : el("button", { type: "button", onclick: () => go(v) }, "Show it")))));
  }
  if (!run.anomalies.length && !run.violations.length) {
    const unknown = run.verdicts.some((v) => v.valid !== true) || !run.verdicts.length;
    box.append(el("p", {}, unknown ? "No anomaly was found; but see the verdict above, which is not that everything is well." : "No anomaly: no answer contradicts what was promised."));
  }
  // The name of an operation in the chosen anomaly, if it is one of it.
  const nameOf = (op) => ops.get(op);
  return { show, go, nameOf, get chosen() { return chosen; } };
}

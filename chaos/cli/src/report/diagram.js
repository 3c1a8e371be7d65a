// The space-time diagram: time to the right, a lane for each client and each node.
//
// What is in the window is laid out as marks. Up to MARKS_MAX of them are SVG elements; more are painted on a canvas
// below, and only what is lit stays an element.

const MARKS_MAX = 3000;
// More arrows than that are a grey area that says nothing.
const ARROWS_MAX = 2500;
const LIT_ARROWS_MAX = 1500;
const TOP = 44, BOTTOM = 8, NODE_HEIGHT = 96, NODE_LINE = 56, GAP = 10;
const FADE_PX = 30, WIDTH_MIN_PX = 2.5, LABEL_PX = 12;

function makeDiagram(run, box, onChange) {
  const state = {
    a: run.from, b: run.to, anomaly: null, light: null, cursor: null, hidden: new Set(), width: 0,
  };
  const canvas = el("canvas", { "aria-hidden": "true" });
  const picture = draw("svg", { role: "img", "aria-label": "Space-time diagram of the run" });
  box.append(canvas, picture);

  // Lanes.
  const clientHeight = run.clients.length <= 16 ? 24 : run.clients.length <= 40 ? 16 : 9;
  const clientY = new Map(run.clients.map((c, i) => [c, TOP + i * clientHeight]));
  const nodesTop = TOP + run.clients.length * clientHeight + GAP;
  const nodeY = new Map(run.nodes.map((n, i) => [n, nodesTop + i * NODE_HEIGHT]));
  const height = nodesTop + run.nodes.length * NODE_HEIGHT + BOTTOM;
  const gutter = () => (state.width < 560 ? 62 : 84);
  const plotWidth = () => Math.max(50, state.width - gutter() - 6);
  const x = (t) => gutter() + ((t - state.a) / (state.b - state.a)) * plotWidth();
  const timeAt = (px) => state.a + ((px - gutter()) / plotWidth()) * (state.b - state.a);
  const roles = nodeRoles(run);

  const isIn = (from, to) => to >= state.a && from <= state.b;
  const seen = (from, to) => {
    const left = Math.max(x(from), gutter() - 40);
    return [left, Math.max(Math.min(x(to), state.width + 40) - left, 0)];
  };

  // ---- marks: what there is to paint, with no regard to how
  function layout() {
    const members = new Map();
    state.anomaly?.members.forEach((m) => m.op && members.set(m.op, members.has(m.op) ? `${members.get(m.op)} ${m.name}` : m.name));
    const light = state.light;
    const bars = [];
    for (const op of run.operations) {
      if (!isIn(op.from, op.until)) continue;
      let [left, width] = seen(op.from, op.to ?? op.until);
      if (op.outcome === "info" || op.to === null) width = Math.max(width, FADE_PX);
      const name = members.get(op) ?? null;
      bars.push({ op, name, lit: Boolean(light?.ops.has(op)), x: left, w: Math.max(width, WIDTH_MIN_PX),
        y: clientY.get(op.client) + (clientHeight > 12 ? 4 : 1.5), h: clientHeight > 12 ? clientHeight - 8 : clientHeight - 3 });
    }
    let inWindow = 0;
    const arrows = [];
    for (const m of run.messages) {
      if (m.at > state.b) break;
      const end = m.end ?? m.at;
      if (end < state.a || state.hidden.has(m.kind) || m.from === m.to || !nodeY.has(m.from) || !nodeY.has(m.to)) continue;
      inWindow++;
      const lit = Boolean(light?.message(m));
      if (inWindow <= ARROWS_MAX || lit) arrows.push({ m, lit });
    }
    const crowded = inWindow > ARROWS_MAX;
    let lit = 0;
    const shown = arrows.filter((a) => (a.lit ? ++lit <= LIT_ARROWS_MAX : !crowded)).map(({ m, lit }) => {
      const [y1, y2] = [nodeY.get(m.from) + NODE_LINE, nodeY.get(m.to) + NODE_LINE];
      const x1 = x(m.at), x2 = m.end === null ? x1 + 6 : x(m.end);
      const part = m.lost ? 0.55 : 1;
      return { m, lit, x1, y1, x2: x1 + (x2 - x1) * part, y2: y1 + (y2 - y1) * part };
    });
    const ticks = run.events.filter((e) => e.at >= state.a && e.at <= state.b && nodeY.has(e.node))
      .map((e) => ({ e, x: x(e.at), y: nodeY.get(e.node) + NODE_LINE }));
    return { bars, arrows: shown, ticks, inWindow, crowded };
  }

  function paint() {
    state.width = Math.floor(box.clientWidth) || 900;
    const marks = layout();
    const onCanvas = marks.bars.length + marks.arrows.length + marks.ticks.length > MARKS_MAX;
    const isElement = (mark) => !onCanvas || mark.lit || mark.name;
    picture.setAttribute("viewBox", `0 0 ${state.width} ${height}`);
    picture.setAttribute("width", state.width);
    picture.setAttribute("height", height);
    const dim = state.light ? "dimmed" : state.anomaly ? "muted" : "";
    box.classList.toggle("dimmed", dim === "dimmed");
    box.classList.toggle("muted", dim === "muted");
    paintCanvas(canvas, state.width, height, gutter(), onCanvas ? {
      bars: marks.bars.filter((m) => !isElement(m)), arrows: marks.arrows.filter((m) => !m.lit), ticks: marks.ticks,
    } : null, dim);
    const clip = draw("g", { "clip-path": "url(#plot)" });
    picture.replaceChildren(defs(gutter(), state.width, height), lanes(), clip);
    // Words stand over what is drawn.
    const [under, sentences] = bands();
    clip.append(under, grid(), rolesOf(), arrowsOf(marks.arrows.filter(isElement)), sentences, ticksOf(onCanvas ? [] : marks.ticks, marks.ticks),
      barsOf(marks.bars.filter(isElement)), edgesOf(marks.bars), violationsOf(), cursorOf());
    picture.setAttribute("aria-label", `Space-time diagram from ${seconds(state.a)} to ${seconds(state.b)}: ${many(marks.bars.length, "operation")}, ${many(marks.ticks.length, "event")}, ${many(marks.inWindow, "message")}`);
    box.dataset.marks = onCanvas ? "canvas" : "svg";
    onChange({ ...state, inWindow: marks.inWindow, crowded: marks.crowded });
  }

  function lanes() {
    const g = draw("g", { class: "lanes" });
    const label = (text, y, cls) => g.append(draw("text", { x: gutter() - 8, y, "text-anchor": "end", class: cls }, text));
    const step = clientHeight < 12 ? Math.ceil(12 / clientHeight) : 1;
    run.clients.forEach((c, i) => {
      const y = clientY.get(c);
      if (i % 2 === 0) g.append(draw("rect", { x: gutter(), y, width: plotWidth() + 6, height: clientHeight, class: "stripe" }));
      if (i % step === 0) label(state.width < 560 ? c : `client ${c}`, y + clientHeight / 2 + 4, "client");
    });
    for (const n of run.nodes) {
      const y = nodeY.get(n);
      g.append(draw("line", { x1: gutter(), x2: state.width, y1: y, y2: y, class: "divide" }));
      g.append(draw("line", { x1: gutter(), x2: state.width, y1: y + NODE_LINE, y2: y + NODE_LINE, class: "world-line" }));
      label(n, y + NODE_LINE + 4, "node");
    }
    return g;
  }

  function grid() {
    const g = draw("g", { class: "grid" });
    const { step, digits } = axisStep(state.b - state.a, plotWidth() / 95);
    for (let i = Math.ceil(state.a / step); i * step <= state.b; i++) {
      const px = x(i * step);
      g.append(draw("line", { x1: px, x2: px, y1: 20, y2: height - BOTTOM }));
      if (px < state.width - 48) g.append(draw("text", { x: px + 3, y: 14 }, seconds(i * step, digits)));
    }
    return g;
  }

  function bands() {
    const g = draw("g", { class: "bands" });
    const sentences = [];
    // Sentences stand in rows, each where the one before it in the row has ended.
    const rows = new Map();
    const place = (lane, count, from, chars) => {
      const taken = rows.get(lane) ?? rows.set(lane, new Array(count).fill(-Infinity)).get(lane);
      const row = taken.findIndex((end) => end < from);
      if (row >= 0) taken[row] = from + chars * 6.5 + 10;
      return row;
    };
    for (const f of run.faults) {
      if (!isIn(f.from, f.until)) continue;
      const lit = state.light?.faults.has(f) ? " lit" : "";
      const [left, width] = seen(f.from, f.until);
      const known = f.nodes.filter((n) => nodeY.has(n));
      const on = known.length ? known.map((n) => [n, nodeY.get(n), NODE_HEIGHT, 3, 13]) : [["", 20, height - 20 - BOTTOM, 1, 13]];
      on.forEach(([lane, y, h, count, first]) => {
        const band = draw("g", { class: `fault${lit}${known.length ? "" : " all"}`, "data-fault": f.id });
        band.append(draw("rect", { x: left, y: y + 1, width: Math.max(width, 2), height: h - 2 }));
        band.append(draw("line", { x1: left, x2: left, y1: y + 1, y2: y + h - 1 }));
        const from = Math.max(left, gutter());
        const row = place(lane, count, from, f.say.length);
        if (row >= 0) sentences.push(draw("g", { class: band.getAttribute("class") }, draw("text", { x: from + 4, y: y + first + row * LABEL_PX }, f.say)));
        g.append(band);
      });
    }
    return [g, draw("g", { class: "bands" }, sentences)];
  }

  function rolesOf() {
    const g = draw("g", { class: "roles" });
    for (const r of roles) {
      if (!isIn(r.from, r.to)) continue;
      const [left, width] = seen(r.from, r.to);
      const y = nodeY.get(r.node) + NODE_LINE;
      const at = { leader: [y - 4, 8], lease: [y + 6, 3], down: [y - 5, 10] }[r.role];
      g.append(draw("rect", { x: left, y: at[0], width: Math.max(width, 1), height: at[1], class: r.role },
        draw("title", {}, `${r.node}: ${r.role} from ${seconds(r.from)} to ${seconds(r.to)}`)));
      const from = Math.max(left, gutter());
      if (r.role !== "lease" && left + width - from > 50) g.append(draw("text", { x: from + 4, y: y - 7, class: r.role }, r.role));
    }
    return g;
  }

  function arrowsOf(arrows) {
    const g = draw("g", { class: "messages" });
    for (const a of arrows) {
      const one = draw("g", { class: `message${a.m.lost ? " lost" : ""}${a.lit ? " lit" : ""}` });
      one.append(draw("path", { d: `M${a.x1} ${a.y1}L${a.x2} ${a.y2}${a.m.lost ? cross(a.x2, a.y2) : head(a.x1, a.y1, a.x2, a.y2)}` }));
      g.append(one);
    }
    return g;
  }

  function ticksOf(ticks, all) {
    const g = draw("g", { class: "events" });
    for (const t of ticks) g.append(draw("line", { x1: t.x, x2: t.x, y1: t.y - 7, y2: t.y + 7 }));
    const taken = new Map();
    for (const t of all) {
      const rows = taken.get(t.e.node) ?? taken.set(t.e.node, [-Infinity, -Infinity]).get(t.e.node);
      const row = rows.findIndex((end) => end < t.x);
      const say = t.e.what.length > 44 ? `${t.e.what.slice(0, 43)}…` : t.e.what;
      // Where they stand close together nobody could tell which word belongs to which tick.
      if (row < 0 || all.length > 150) continue;
      rows[row] = t.x + say.length * 5.4 + 8;
      g.append(draw("text", { x: t.x + 2, y: t.y + 22 + row * 11 }, say));
    }
    return g;
  }

  function barsOf(bars) {
    const g = draw("g", { class: "operations" });
    // What is in the light is painted last, so on top.
    for (const b of [...bars].sort((p, q) => Number(Boolean(p.name)) - Number(Boolean(q.name)) || Number(p.lit) - Number(q.lit))) {
      const cls = `op ${b.op.outcome}${b.op.to === null ? " never" : ""}${b.name ? " anomaly" : ""}${b.lit ? " lit" : ""}`;
      const one = draw("g", { class: cls, "data-id": b.op.id });
      const open = b.op.outcome === "info";
      one.append(draw("rect", { x: b.x, y: b.y, width: b.w, height: b.h, rx: open ? 0 : 2 }));
      if (open) one.append(draw("path", { class: "begin", d: `M${b.x} ${b.y}v${b.h}` }));
      if (b.name) one.append(...tag(b));
      g.append(one);
    }
    return g;
  }

  const tag = (b) => {
    const from = Math.max(b.x, gutter()), w = b.name.length * 7 + 8;
    const left = b.w > w + 30 || from + b.w + w > state.width ? from + 2 : b.x + b.w + 3;
    const y = b.y + b.h / 2;
    return [draw("rect", { class: "tag", x: left, y: y - 7, width: w, height: 14, rx: 3 }),
      draw("text", { class: "tag", x: left + w / 2, y: y + 4, "text-anchor": "middle" }, b.name)];
  };

  // The cycle, from bar to bar.
  function edgesOf(bars) {
    const g = draw("g", { class: "edges" });
    const bar = new Map(bars.map((b) => [b.op, b]));
    // From far away they would only be a knot.
    const named = bars.filter((b) => b.name).map((b) => b.x);
    const isKnot = Math.max(...named) - Math.min(...named) < 40 && bars.length > 200;
    state.anomaly?.cycle.forEach((edge, i) => {
      const [p, q] = [bar.get(edge.from.op), bar.get(edge.to.op)];
      if (!p || !q || (isKnot && state.light?.edge !== edge)) return;
      const middle = (b) => Math.min(Math.max(b.x + Math.min(b.w, 2000) / 2, gutter() + 4), state.width - 8);
      const down = q.y > p.y || (q.y === p.y && i % 2 === 0);
      // An edge of time goes from the end of the one to the begin of the other.
      const ofTime = edge.rel === "realtime" || edge.rel === "process";
      const [x1, y1] = [ofTime ? p.x + p.w : middle(p), down && q.y !== p.y ? p.y + p.h : p.y];
      const [x2, y2] = [ofTime ? q.x : middle(q), down && q.y !== p.y ? q.y : q.y === p.y ? q.y : q.y + q.h];
      // Each bends to its own left, so that there and back stay apart.
      const length = Math.hypot(x2 - x1, y2 - y1) || 1, by = Math.max(34, length * 0.14) / length;
      const bend = q.y === p.y ? [(x1 + x2) / 2, y1 - 30] : [(x1 + x2) / 2 + (y2 - y1) * by, (y1 + y2) / 2 - (x2 - x1) * by];
      const lit = state.light?.edge === edge ? " lit" : "";
      const [lx, ly] = [(x1 + x2) / 4 + bend[0] / 2, (y1 + y2) / 4 + bend[1] / 2];
      g.append(draw("g", { class: `edge ${edge.rel}${lit}` },
        draw("path", { d: `M${x1} ${y1}Q${bend[0]} ${bend[1]} ${x2} ${y2}${head(bend[0], bend[1], x2, y2, 7)}` }),
        draw("text", { x: lx, y: ly + 4, "text-anchor": "middle" }, edge.rel)));
    });
    return g;
  }

  function violationsOf() {
    const g = draw("g", { class: "violations" });
    for (const v of run.violations) {
      if (v.at === null || v.at < state.a || v.at > state.b) continue;
      const px = x(v.at), right = px > state.width - 140;
      g.append(draw("line", { x1: px, x2: px, y1: 20, y2: height - BOTTOM }),
        draw("text", { x: px + (right ? -5 : 5), y: height - BOTTOM - 4, "text-anchor": right ? "end" : "start" }, `✗ ${v.invariant}`));
    }
    return g;
  }

  function cursorOf() {
    const g = draw("g", { class: "cursor" });
    const c = state.cursor;
    if (!c || c.at < state.a || c.at > state.b) return g;
    const px = x(c.at);
    g.append(draw("line", { x1: px, x2: px, y1: 20, y2: height - BOTTOM }));
    const y = c.op ? clientY.get(c.op.client) + clientHeight / 2 : c.event && nodeY.has(c.event.node) ? nodeY.get(c.event.node) + NODE_LINE : null;
    if (y !== null) g.append(draw("circle", { cx: px, cy: y, r: 6 }));
    return g;
  }

  // ---- the window
  let waits = false;
  const repaint = () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => ((waits = false), paint()));
  };
  const span = run.to - run.from;
  function show(a, b) {
    // From a microsecond to the whole run with a margin.
    const width = Math.min(Math.max(b - a, 0.001), span * 1.04);
    const low = run.from - span * 0.02, high = run.to + span * 0.02;
    const middle = (a + b) / 2;
    state.a = Math.min(Math.max(middle - width / 2, low), high - width);
    state.b = state.a + width;
    repaint();
  }
  const zoom = (factor, at = (state.a + state.b) / 2) => show(at - (at - state.a) * factor, at + (state.b - at) * factor);
  const pan = (part) => show(state.a + (state.b - state.a) * part, state.b + (state.b - state.a) * part);

  // ---- mouse and touch
  picture.addEventListener("wheel", (e) => {
    e.preventDefault();
    const lines = e.deltaMode === 1 ? 16 : 1;
    if (Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey) return pan(((e.deltaX || e.deltaY) * lines) / plotWidth());
    zoom(Math.exp(Math.max(-300, Math.min(300, e.deltaY * lines)) * 0.002), timeAt(place(e).x));
  }, { passive: false });
  const place = (e) => {
    const r = picture.getBoundingClientRect();
    return { x: e.clientX - r.left, y: e.clientY - r.top };
  };
  let grip = null;
  picture.addEventListener("pointerdown", (e) => {
    if (e.button !== 0) return;
    grip = { x: e.clientX, a: state.a, b: state.b, moved: false };
    picture.setPointerCapture(e.pointerId);
  });
  picture.addEventListener("pointermove", (e) => {
    if (!grip) return hover(e);
    const by = e.clientX - grip.x;
    if (Math.abs(by) > 4) grip.moved = true;
    if (!grip.moved) return;
    tip.hidden = true;
    const shift = (-by / plotWidth()) * (grip.b - grip.a);
    show(grip.a + shift, grip.b + shift);
  });
  picture.addEventListener("pointerup", (e) => {
    const still = grip && !grip.moved;
    grip = null;
    if (still) diagram.onPick?.(at(place(e)));
  });
  picture.addEventListener("pointercancel", () => (grip = null));
  picture.addEventListener("pointerleave", () => (tip.hidden = true));

  // What lies under a point.
  function at({ x: px, y: py }) {
    if (px < gutter()) return null;
    const t = timeAt(px), reach = ((state.b - state.a) / plotWidth()) * 4;
    const lane = run.clients[Math.floor((py - TOP) / clientHeight)];
    if (py >= TOP && lane !== undefined && py < nodesTop - GAP) {
      const near = (o) => Math.max(o.from - t, t - Math.max(o.until, o.outcome === "info" ? o.from + reach * 7 : 0), 0);
      const hits = run.operations.filter((o) => o.client === lane && near(o) <= reach);
      hits.sort((p, q) => near(p) - near(q) || q.from - p.from);
      return hits.length ? { op: hits[0] } : null;
    }
    const node = run.nodes[Math.floor((py - nodesTop) / NODE_HEIGHT)];
    if (py < nodesTop || node === undefined) return null;
    const inLane = py - nodeY.get(node);
    const event = run.events.filter((e) => e.node === node && Math.abs(e.at - t) <= reach).sort((p, q) => Math.abs(p.at - t) - Math.abs(q.at - t))[0];
    if (event && Math.abs(inLane - NODE_LINE) < 14) return { event };
    const faults = run.faults.filter((f) => (!f.nodes.length || f.nodes.includes(node)) && f.from <= t + reach && f.until >= t - reach);
    return faults.length ? { faults } : null;
  }
  const tip = byId("tip");
  function hover(e) {
    const hit = at(place(e));
    tip.hidden = !hit;
    if (!hit) return;
    tip.textContent = hit.op ? describe(hit.op) : hit.event ? `${hit.event.node} at ${seconds(hit.event.at)}: ${hit.event.what}`
      : hit.faults.map((f) => `${f.say} (${seconds(f.from)} to ${f.to === null ? "the end" : seconds(f.to)})`).join("\n");
    const right = e.clientX > innerWidth - 380;
    tip.style.left = right ? "" : `${e.clientX + 14}px`;
    tip.style.right = right ? `${innerWidth - e.clientX + 14}px` : "";
    tip.style.top = `${Math.min(e.clientY + 14, innerHeight - 130)}px`;
  }

  new ResizeObserver(() => box.clientWidth !== state.width && repaint()).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  const diagram = { state, roles, show, zoom, pan, paint, repaint, onPick: null, set: (more) => (Object.assign(state, more), repaint()) };
  return diagram;
}

const describe = (op) => [
  `client ${op.client}${op.node ? ` on ${op.node}` : ""}, ${{ ok: "ok", fail: "refused", info: "outcome unknown" }[op.outcome]}${op.workload ? `, ${op.workload}` : ""} (operation ${op.id})`,
  `${seconds(op.from)}${op.to === null ? ", never answered" : `, took ${took(op.to - op.from)}`}`,
  op.asked && `asked  ${short(op.asked)}`, op.got && `got  ${short(op.got)}`, op.error && `error  ${short(op.error)}`,
].filter(Boolean).join("\n");
const short = (text) => (text.length > 300 ? `${text.slice(0, 299)}…` : text);

function axisStep(span, count) {
  const least = span / Math.max(count, 2);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least) ?? power * 10;
  return { step, digits: Math.max(0, Math.min(6, -Math.floor(Math.log10(step / 1000) + 1e-9))) };
}

function head(x1, y1, x2, y2, size = 4) {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const leg = (turn) => `L${(x2 - size * Math.cos(angle + turn)).toFixed(1)} ${(y2 - size * Math.sin(angle + turn)).toFixed(1)}`;
  return `${leg(0.45)}M${x2} ${y2}${leg(-0.45)}`;
}
const cross = (px, py) => `M${px - 4} ${py - 4}l8 8M${px - 4} ${py + 4}l8 -8`;

function defs(left, width, height) {
  const hatch = draw("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    draw("rect", { width: 6, height: 6, class: "hatch-ground" }), draw("rect", { width: 2, height: 6, class: "hatch-line" }));
  const dots = draw("pattern", { id: "dots", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(-45)" },
    draw("rect", { width: 7, height: 7, class: "dots-ground" }), draw("rect", { width: 1.5, height: 7, class: "dots-line" }));
  const fade = draw("linearGradient", { id: "fade" },
    ...[[0, 1], [0.4, 0.8], [1, 0]].map(([offset, opacity]) => draw("stop", { offset, class: "fade", "stop-opacity": opacity })));
  const plot = draw("clipPath", { id: "plot" }, draw("rect", { x: left, y: 0, width: Math.max(width - left, 1), height }));
  return draw("defs", {}, hatch, dots, fade, plot);
}

// Kinds of fault that end a process, for runs whose events do not say when one was gone.
const ENDS = ["kill", "crash", "wipe", "kill_all"];

// When each node led, when it could read by itself, and when it was down, as far as its events say.
function nodeRoles(run) {
  const all = [];
  for (const node of run.nodes) {
    const since = { leader: null, lease: null, down: null };
    const turn = (role, on, at) => {
      if (on && since[role] === null) since[role] = at;
      if (!on && since[role] !== null) {
        all.push({ node, role, from: since[role], to: at });
        since[role] = null;
      }
    };
    let saysGone = false;
    for (const e of run.events) {
      if (e.node !== node) continue;
      const what = e.what.split(/[\s:]/)[0];
      const gone = /^its (process is gone|machine has no power)/.test(e.what) || ["stops", "dies", "killed", "died"].includes(what);
      if (gone || what === "starts" || what === "started") ["leader", "lease"].forEach((role) => turn(role, false, e.at));
      if (gone) saysGone = true;
      turn("down", gone || (since.down !== null && what !== "starts" && what !== "started"), e.at);
      if (what === "elected") turn("leader", true, e.at);
      if (what === "leader_changed") turn("leader", e.what.includes(`leader=${node}`), e.at);
      if (what === "lease_usable") turn("lease", true, e.at);
      if (["lease_lost", "lease_ended", "lease_refused"].includes(what) && !e.what.includes("slot=")) turn("lease", false, e.at);
      if (what === "stepped_down") turn("leader", false, e.at);
    }
    ["leader", "lease", "down"].forEach((role) => turn(role, false, run.to));
    if (saysGone) continue;
    for (const f of run.faults) {
      if (ENDS.includes(f.kind) && (!f.nodes.length || f.nodes.includes(node))) all.push({ node, role: "down", from: f.from, to: f.until });
    }
  }
  return all;
}

// The same shapes where there are too many for elements; colours come from the style sheet.
function paintCanvas(canvas, width, height, left, marks, dim) {
  canvas.hidden = !marks;
  if (!marks) return;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  c.beginPath();
  c.rect(left, 0, width - left, height);
  c.clip();
  c.globalAlpha = dim === "dimmed" ? 0.3 : dim === "muted" ? 0.7 : 1;
  c.lineWidth = 0.8;
  c.strokeStyle = colour("--message");
  c.beginPath();
  for (const a of marks.arrows) {
    c.moveTo(a.x1, a.y1);
    c.lineTo(a.x2, a.y2);
    if (!a.m.lost) continue;
    c.moveTo(a.x2 - 3, a.y2 - 3);
    c.lineTo(a.x2 + 3, a.y2 + 3);
    c.moveTo(a.x2 - 3, a.y2 + 3);
    c.lineTo(a.x2 + 3, a.y2 - 3);
  }
  c.stroke();
  c.fillStyle = colour("--ok");
  for (const b of marks.bars) if (b.op.outcome === "ok") c.fillRect(b.x, b.y, b.w, b.h);
  // Refused: a frame with a stroke through it. Unknown: a begin, and half as high from there on.
  c.strokeStyle = colour("--fail");
  c.lineWidth = 1.2;
  c.beginPath();
  for (const b of marks.bars) {
    if (b.op.outcome !== "fail") continue;
    c.rect(b.x + 0.5, b.y + 0.5, Math.max(b.w - 1, 1), b.h - 1);
    c.moveTo(b.x, b.y + b.h);
    c.lineTo(b.x + b.w, b.y);
  }
  c.stroke();
  c.fillStyle = colour("--info");
  for (const b of marks.bars) {
    if (b.op.outcome !== "info") continue;
    c.fillRect(b.x, b.y, 2, b.h);
    c.fillRect(b.x, b.y + b.h / 4, b.w * 0.7, b.h / 2);
  }
  c.strokeStyle = colour("--ink");
  c.lineWidth = 1;
  c.beginPath();
  for (const t of marks.ticks) {
    c.moveTo(t.x, t.y - 7);
    c.lineTo(t.x, t.y + 7);
  }
  c.stroke();
}

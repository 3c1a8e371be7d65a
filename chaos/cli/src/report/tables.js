// The same in words: tables that can be searched, and read by a screen reader.

const ROWS_MAX = 500;

// `columns` are [head, class, cell]; rows are made only when their page is shown.
function makeTable({ id, title, rows, columns, note, choices, open = true, text, onRow }) {
  const body = el("tbody"), count = el("p", { class: "count", role: "status" });
  let page = 0, needle = "", choice = choices ? choices.findIndex((c) => c.first) : -1;
  if (choices && choice < 0) choice = 0;
  const back = el("button", { type: "button", onclick: () => (page--, fill()) }, "Earlier");
  const on = el("button", { type: "button", onclick: () => (page++, fill()) }, "Later");
  const pager = el("div", { class: "pager" }, back, on);

  function fill() {
    const words = needle.toLowerCase().split(/\s+/).filter(Boolean);
    const pool = choices ? rows.filter(choices[choice].keep) : rows;
    const found = words.length ? pool.filter((row) => words.every((w) => text(row).toLowerCase().includes(w))) : pool;
    const pages = Math.max(1, Math.ceil(found.length / ROWS_MAX));
    page = Math.max(0, Math.min(page, pages - 1));
    const shown = found.slice(page * ROWS_MAX, (page + 1) * ROWS_MAX);
    body.replaceChildren(...shown.map((row) => {
      const tr = el("tr", {}, columns.map(([, cls, cell], i) => el(i === 0 ? "th" : "td", { class: cls, scope: i === 0 ? "row" : null }, cell(row))));
      onRow?.(tr, row);
      return tr;
    }));
    const first = page * ROWS_MAX + 1;
    count.textContent = !found.length ? `None of ${rows.length.toLocaleString("en")}`
      : pages > 1 ? `${first.toLocaleString("en")} to ${(first + shown.length - 1).toLocaleString("en")} of ${found.length.toLocaleString("en")}`
        : found.length === rows.length ? `All ${rows.length.toLocaleString("en")}` : `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    pager.hidden = pages < 2;
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
  }

  const tools = el("div", { class: "tools" });
  if (choices) {
    tools.append(el("fieldset", {}, el("legend", { class: "away" }, `Which ${title.toLowerCase()}`), choices.map((c, i) =>
      el("label", {}, el("input", { type: "radio", name: `which-${id}`, checked: i === choice, onchange: () => ((choice = i), (page = 0), fill()) }), c.name))));
  }
  if (rows.length > 8) {
    tools.append(el("label", {}, "Only with ", el("input", { type: "search", placeholder: "words", "aria-controls": `${id}-table`,
      oninput: (e) => ((needle = e.target.value), (page = 0), fill()) })));
  }
  tools.append(count, pager);
  const details = el("details", { id, open: open && rows.length > 0 },
    el("summary", {}, el("h2", {}, title), el("span", { class: "number" }, rows.length.toLocaleString("en"))),
    note ? el("p", { class: "note" }, note) : null);
  let made = false;
  const make = () => {
    if (made || !details.open) return;
    made = true;
    if (!rows.length) return details.append(el("p", { class: "none" }, "None."));
    const table = el("table", { id: `${id}-table` }, el("caption", { class: "away" }, title),
      el("thead", {}, el("tr", {}, columns.map(([name, cls]) => el("th", { scope: "col", class: cls }, name)))), body);
    details.append(tools, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table));
    fill();
  };
  details.addEventListener("toggle", make);
  make();
  return { details, refill: () => made && fill() };
}

const OUTCOMES = { ok: "ok", fail: "refused", info: "unknown" };

function makeTables(run, box, diagram, found, pick) {
  const code = (text) => (text ? el("code", {}, short(text)) : "");
  const has = run.anomalies.length > 0;
  const go = (from, to) => diagram.show(...windowOf(run, from, to));
  const when = (row, from, to, moment) => el("button", { type: "button", class: "when", title: "Show it in the diagram",
    onclick: () => (go(from, to), pick(moment), byId("diagram").scrollIntoView({ block: "nearest" })) }, seconds(from));

  const operations = makeTable({
    id: "operations", title: "Operations", rows: run.operations,
    choices: has ? [{ name: "of the anomaly", first: true, keep: (o) => found.nameOf(o) }, { name: "all", keep: () => true }] : null,
    text: (o) => `${o.id} client ${o.client} ${o.node} ${o.workload} ${o.f} ${OUTCOMES[o.outcome]} ${o.asked} ${o.got} ${o.error}`,
    columns: [
      ["Number", "n", (o) => [String(o.id), found.nameOf(o) ? el("b", { class: "tag" }, found.nameOf(o)) : ""]],
      ["Begin", "n", (o) => when(o, o.from, o.to ?? o.from, (m) => m.op === o)],
      ["Took", "n", (o) => (o.to === null ? "no answer" : took(o.to - o.from))],
      ["Client", "n", (o) => o.client],
      ["Node", "", (o) => o.node],
      ["Workload", "", (o) => o.workload],
      ["Outcome", "", (o) => el("span", { class: `outcome ${o.outcome}` }, OUTCOMES[o.outcome])],
      ["Asked", "wide", (o) => code(o.asked || o.f)],
      ["Got", "wide", (o) => [code(o.got), o.error ? el("span", { class: "error" }, o.got ? " " : "", short(o.error)) : ""]],
    ],
    onRow: (tr, o) => found.nameOf(o) && tr.classList.add("anomaly"),
  });
  const faults = makeTable({
    id: "faults", title: "Faults", rows: run.faults,
    text: (f) => `${f.kind} ${f.say} ${f.nodes.join(" ")}`,
    columns: [
      ["Number", "n", (f) => String(f.id)],
      ["Begin", "n", (f) => when(f, f.from, f.until, (m) => m.fault === f)],
      ["End", "n", (f) => (f.to === null ? "to the end" : seconds(f.to))],
      ["Kind", "", (f) => f.kind],
      ["On", "", (f) => f.nodes.join(", ") || "all"],
      ["What", "wide", (f) => f.say],
    ],
  });
  const nodes = [...new Set(run.outages.flatMap((o) => Object.keys(o.nodes)))];
  const fault = (o) => run.faults.find((f) => f.id === o.fault);
  const outages = makeTable({
    id: "outages", title: "Outages", rows: run.outages,
    note: "For each fault, the longest time without an operation that ended ok: anywhere, and on each node.",
    text: (o) => `${o.what} ${fault(o)?.say ?? ""}`,
    columns: [
      ["Fault", "n", (o) => word(o.fault)],
      ["What", "wide", (o) => o.what || fault(o)?.say || ""],
      ["Longest", "n", (o) => (o.longest === null ? "" : took(o.longest))],
      ...nodes.map((n) => [n, "n", (o) => (number(o.nodes[n]) === null ? "" : took(o.nodes[n]))]),
    ],
  });
  const events = makeTable({
    id: "events", title: "Events of the nodes", rows: run.events, open: false,
    text: (e) => `${e.node} ${e.what}`,
    columns: [
      ["Time", "n", (e) => when(e, e.at, e.at, (m) => m.event === e)],
      ["Node", "", (e) => e.node],
      ["What", "wide", (e) => e.what],
    ],
  });
  box.append(operations.details, faults.details, outages.details, events.details);
  return { refill: operations.refill };
}

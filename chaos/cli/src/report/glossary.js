// The words of the field, each in one sentence for somebody who meets it for the first time.

const MODELS = {
  "read-uncommitted": "Writes of two transactions to the same rows never alternate: one of them is wholly first.",
  "read-committed": "A transaction reads only what others have committed, never what was undone or was only a step on the way.",
  "monotonic-atomic-view": "Once a transaction has seen one effect of another, it sees all effects of it.",
  "monotonic-view": "What a transaction sees never goes back in time while it runs.",
  "monotonic-snapshot-read": "Each statement reads one snapshot, and later statements never read an earlier one.",
  "cursor-stability": "Read committed, and no update made between a read and the write that builds on it is lost.",
  "consistent-view": "What a transaction reads belongs together: it sees all of another transaction or nothing.",
  "forward-consistent-view": "A consistent view that may include transactions committed after the reader began.",
  "update-serializable": "The transactions that write could have run one after another; those that only read see a consistent view.",
  "repeatable-read": "A row that was read stays as it was read until the transaction ends; only searches by condition may change.",
  "read-atomic": "A transaction's effects are seen all or none.",
  "ROLA": "Effects are seen all or none, and no update is lost.",
  "causal-cerone": "Who sees an effect also sees everything that it was built upon.",
  "prefix": "Every snapshot is a beginning of one common order of commits.",
  "parallel-snapshot-isolation": "Snapshot isolation in which different sites may see independent transactions in different orders.",
  "snapshot-isolation": "Each transaction reads one snapshot of the data, and of two that change the same row at the same time one is refused.",
  "serializable": "The outcome is as if the transactions had run one after another, in some order.",
  "strict-serializable": "As if the transactions had run one after another, and in an order that agrees with the clock on the wall.",
  "linearizable": "Each operation seems to happen at one moment between its begin and its end.",
  "sequential": "As if all operations had run one after another, each client's in its own order.",
  "causal": "Who sees an effect also sees everything that led to it.",
};
const SESSION = " Also, each client sees what it did and saw before.";
const STRONG = " Also, nobody misses what was acknowledged before they began.";

const ANOMALIES = {
  "G0": ["dirty write", "Two transactions overwrote each other's rows crosswise: each is first on one row and second on another."],
  "G1": ["dirty read", "A transaction saw what was never properly committed before it."],
  "G1a": ["aborted read", "A transaction read a value whose writer was refused: it should never have been there."],
  "G1b": ["intermediate read", "A transaction read a value that its writer overwrote before committing: half of the work was visible."],
  "G1c": ["circular information flow", "Transactions saw or overwrote each other's writes in a circle, so none of them can have come first."],
  "G-single": ["read skew", "One transaction saw part of another: it missed one of its writes and yet comes after it. The state it read never existed."],
  "G-nonadjacent": ["long fork", "Readers saw independent writes in opposite orders, as if time had forked: each has what the other lacks."],
  "G2": ["write skew", "Each transaction read what another then changed, and neither saw the other. One after another this cannot happen."],
  "lost-update": ["lost update", "Two transactions read the same value and both wrote what they had computed from it; one of the two changes is gone."],
  "internal": ["internal inconsistency", "A transaction did not see its own earlier reads or writes."],
  "incompatible-order": ["incompatible order", "Two reads show the elements of one list in orders that do not fit together, so one of them saw a state that was taken back."],
  "duplicate-elements": ["duplicate elements", "An element that was added once is in the list twice: something was done twice."],
  "dirty-update": ["dirty update", "A committed write builds on a write that was refused."],
  "garbage-read": ["garbage read", "Somebody read a value that nobody ever wrote."],
  "future-read": ["future read", "A transaction read what it only wrote later."],
  "stale-read": ["stale read", "A read shows an old state, although the newer one had been acknowledged before the read began."],
  "lost-acknowledgement": ["lost acknowledgement", "A write was acknowledged and is gone."],
  "wrong-total": ["wrong total", "The sum over all accounts is not what it was at the start: money was made or lost, or a read saw half of a transfer."],
  "negative-balance": ["negative balance", "An account is below zero, though each transfer checks that there is enough."],
  "missing-account": ["missing account", "An account that was there at the start is not found."],
  "duplicate-ids": ["duplicate ids", "The same id was given out twice."],
  "cyclic-versions": ["cyclic versions", "The reads of one key imply an order of its values that runs in a circle."],
  "predicate-read-miss": ["missed by a condition", "A search by condition did not return a row that matches it, or returned one that does not."],
  "predicate-mismatch": ["mismatch of a condition", "A search by condition returned a row that does not match it."],
  "not-linearizable": ["not linearizable", "No order of the operations, each placed between its begin and its end, explains every answer."],
};

// What the simulator's own judge looks at, beside the histories.
const INVARIANTS = {
  ack: "A yes is said only when a majority of disks has the write and the answering node has applied it.",
  chain: "What two nodes hold at the same position of the log is the same, and they came there the same way.",
  commit: "Positions in the log only go forward, and nothing is applied that is not committed.",
  count: "A counter is never stale, never goes back, and never runs ahead.",
  ids: "Ids are of their node's class, and none is ever given twice.",
  leader: "There is at most one leader in a term.",
  lease: "A node that may read by itself has applied everything that anybody may have been told.",
  ledger: "What was acknowledged is there for ever; what was refused is not there and never comes.",
  list: "A list only grows: each read is the beginning of every longer one and shows what was acknowledged before.",
  live: "When the faults are over, everything is available again within a bound.",
  orders: "In no state is there a row without its parent.",
  seats: "In no state do two rows stand in one place.",
  skew: "Of each pair at least one is on duty: no write skew.",
  stall: "Two sound nodes are enough: they answer, and soon, whatever the third does.",
  total: "Money is neither made nor lost: the sum over all accounts is the same at every read.",
  whole: "A transaction is seen whole or not at all.",
  panic: "A node must not end by a defect of its own.",
};

const RELATIONS = {
  ww: "overwrote: the second wrote right over what the first had written",
  wr: "was read by: the second read what the first had written",
  rw: "was overtaken by: the first read a state that lacks what the second wrote next",
  process: "came before, in the same client",
  realtime: "had ended before the other began",
};

// A name is a base and endings: -item and -predicate say what was read, -realtime and -process what orders it.
function anomalyWords(type) {
  const name = String(type ?? "");
  if (name.startsWith("not-") && !ANOMALIES[name]) {
    const model = name.slice(4);
    return { title: `not ${model}`, text: `No order of the transactions that ${model} allows explains every answer.` };
  }
  let base = name, tail = "";
  const ending = base.match(/-(realtime|process)$/);
  if (ending) {
    base = base.slice(0, -ending[0].length);
    tail = ending[1] === "realtime"
      ? " It shows once one adds which transaction had ended before which began."
      : " It shows once one adds the order in which each client did its own.";
  }
  if (!ANOMALIES[base]) base = base.replace(/-(item|predicate)$/, "");
  const known = ANOMALIES[base];
  if (!known) return { title: name || "anomaly", text: "" };
  return { title: known[0] + (ending ? ` (${ending[1] === "realtime" ? "real time" : "session"})` : ""), text: known[1] + tail };
}

function modelWords(model) {
  const name = String(model ?? "").replace(/^:/, "");
  if (MODELS[name]) return MODELS[name];
  const strong = name.match(/^strong-(session-)?(.*)$/);
  if (!strong || !MODELS[strong[2]]) return "";
  return MODELS[strong[2]] + (strong[1] ? SESSION : STRONG);
}

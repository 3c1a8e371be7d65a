//! What is there when the load is over: the ledger and the state of each node, and their hash chains.

use super::{Ledger, Workload};
use crate::account;
use crate::client::{Client, Policy, Session};
use crate::cluster::Cluster;
use crate::script::{Isolation, Rows, Script, Value};
use crate::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long nodes that run have to come to one position and to answer.
const SETTLE_MAX: Duration = Duration::from_secs(30);
const ASK_MAX: Duration = Duration::from_secs(1);
/// How often nodes that differ in unknown outcomes alone are looked at.
const LOOKS_MAX: u32 = 3;
/// Rows of one page of the ledger.
const PAGE_ROWS: u64 = 5_000;

pub(super) struct End {
    /// The nodes that could be read.
    pub(super) ledgers: Vec<(Slot, Ledger)>,
    pub(super) chains_equal: Option<bool>,
    pub(super) violations: Vec<String>,
    pub(super) doubts: Vec<String>,
}

/// `unknown`: transactions that may still happen. While the nodes differ in nothing but those, they are looked at again.
pub(super) async fn look<W: Workload>(
    cluster: &Cluster,
    work: &W,
    clients: &[Client; 3],
    unknown: &BTreeSet<i64>,
    waiting: impl Fn(&str),
) -> End {
    let mut end = once(cluster, work, clients, &waiting).await;
    for _ in 1..LOOKS_MAX {
        let differ = differ(&end.ledgers);
        if differ.is_empty() || !differ.is_subset(unknown) {
            break;
        }
        end = once(cluster, work, clients, &waiting).await;
    }
    let differ = differ(&end.ledgers);
    if let Some(first) = differ.first() {
        let slots: Vec<String> = end.ledgers.iter().map(|(slot, _)| slot.to_string()).collect();
        end.violations.push(format!(
            "the ledgers of {} differ in {} transactions, the first is {first}",
            slots.join(", "),
            differ.len()
        ));
    }
    end
}

/// Transactions that are not alike in all ledgers.
fn differ(ledgers: &[(Slot, Ledger)]) -> BTreeSet<i64> {
    let Some(((_, one), rest)) = ledgers.split_first() else { return BTreeSet::new() };
    let ids = |other: &Ledger| -> Vec<i64> {
        one.keys().chain(other.keys()).filter(|id| one.get(id) != other.get(id)).copied().collect()
    };
    rest.iter().flat_map(|(_, other)| ids(other)).collect()
}

async fn once<W: Workload>(
    cluster: &Cluster,
    work: &W,
    clients: &[Client; 3],
    waiting: &impl Fn(&str),
) -> End {
    let mut end = End { ledgers: Vec::new(), chains_equal: None, violations: Vec::new(), doubts: Vec::new() };
    end.chains_equal = settle(cluster, waiting).await;
    match end.chains_equal {
        Some(true) => {}
        Some(false) => end.violations.push("the hash chains of two nodes differ at the same seqno".into()),
        None => end
            .doubts
            .push(format!("no two nodes came to the same position within {} s", SETTLE_MAX.as_secs())),
    }
    for slot in Slot::ALL {
        waiting(&format!("reading {slot}"));
        match read(&clients[slot.at()], work.tables()).await {
            Ok((ledger, state)) => {
                check_node(work, slot, &ledger, &state, &mut end.violations);
                end.ledgers.push((slot, ledger));
            }
            Err(error) => {
                end.doubts.push(format!("{slot} could not be read ({error}); start it and run again"));
            }
        }
    }
    end
}

/// A node's ledger and state in one snapshot, tried until it is had or the time is over.
async fn read(client: &Client, tables: [&str; 2]) -> Result<(Ledger, Rows), crate::Error> {
    let client = client.with(Policy::once(SETTLE_MAX / 2));
    let deadline = Instant::now() + SETTLE_MAX;
    loop {
        let [state, ledger] = tables;
        let attempt = async {
            let mut session = client.session().await?;
            session.begin(Isolation::RepeatableRead).await?;
            let rows = pages(&mut session, ledger).await?;
            let state = session.run(&Script::new().scan_all(state, 1 << 20)).await?;
            session.rollback().await?;
            Ok::<_, crate::Error>((rows, state.results.into_iter().next().unwrap_or_default()))
        };
        match attempt.await {
            Err(error) if error.retry() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            settled => return settled,
        }
    }
}

/// Waits until all nodes that answer stand at one position, and says whether their chains are equal there.
async fn settle(cluster: &Cluster, waiting: &impl Fn(&str)) -> Option<bool> {
    let deadline = Instant::now() + SETTLE_MAX;
    loop {
        let accounts = account::all(cluster.block(), ASK_MAX).await;
        let agree = account::chains_agree(&accounts);
        let seqnos: Vec<Option<u64>> =
            accounts.iter().filter(|a| a.answered()).map(|a| a.number("seqno")).collect();
        let together = seqnos.len() >= 2 && seqnos.iter().all(|seqno| *seqno == seqnos[0]);
        if agree == Some(false) || (together && agree.is_some()) {
            return agree;
        }
        if Instant::now() >= deadline {
            return agree;
        }
        waiting(&format!("nodes are at {seqnos:?}"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The whole ledger, page by page, in the snapshot of the session.
async fn pages(session: &mut Session, table: &str) -> Result<Ledger, crate::Error> {
    let mut ledger = BTreeMap::new();
    let mut from = i64::MIN;
    loop {
        let page = Script::new().scan(table, [from], [] as [i64; 0], PAGE_ROWS);
        let rows = session.run(&page).await?.results.into_iter().next().unwrap_or_default().rows;
        let Some(last) = rows.last().and_then(|row| row.first()?.int()) else { return Ok(ledger) };
        let full = rows.len() as u64 >= PAGE_ROWS;
        for row in rows {
            let mut cells = row.iter().filter_map(Value::int);
            if let Some(id) = cells.next() {
                ledger.insert(id, cells.collect());
            }
        }
        if !full {
            return Ok(ledger);
        }
        from = last + 1;
    }
}

/// One node in itself: its state is what its own ledger adds up to.
fn check_node<W: Workload>(
    work: &W,
    slot: Slot,
    ledger: &Ledger,
    state: &Rows,
    violations: &mut Vec<String>,
) {
    if let Err(why) = work.judge(state) {
        violations.push(format!("at the end on {slot}: {why}"));
    }
    let should = work.fold(ledger);
    let is: BTreeMap<i64, i64> =
        state.rows.iter().filter_map(|row| Some((row.first()?.int()?, row.get(1)?.int()?))).collect();
    if let Some((id, want)) = should.iter().find(|(id, want)| is.get(id) != Some(want)) {
        let found = is.get(id).map_or_else(|| "nothing".to_owned(), i64::to_string);
        violations.push(format!("on {slot} row {id} holds {found}, and the ledger adds up to {want}"));
    }
}

//! Tests of the judge: each way in which answers can be false is found, and truth is not accused.

use super::*;
use crate::script::Value;

fn rows(cells: &[(i64, i64)]) -> Rows {
    let rows = cells.iter().map(|(id, n)| vec![Value::Int(*id), Value::Int(*n)]).collect();
    Rows { rows, ..Rows::default() }
}

fn tally(yes: &[i64], no: &[i64], unknown: &[i64]) -> Tally {
    let mut tally = Tally::new(tokio::time::Instant::now());
    tally.yes.extend(yes);
    tally.no.extend(no);
    tally.unknown.extend(unknown);
    // Enough others for a verdict.
    tally.yes.extend(1000..1100);
    tally
}

fn end(ledgers: [&[i64]; 3]) -> end::End {
    let ledger = |ids: &[i64]| -> Ledger {
        ids.iter().copied().chain(1000..1100).map(|id| (id, vec![0, 1])).collect()
    };
    let ledgers = Slot::ALL.into_iter().zip(ledgers).map(|(slot, ids)| (slot, ledger(ids))).collect();
    end::End { ledgers, chains_equal: Some(true), violations: Vec::new(), doubts: Vec::new() }
}

#[test]
fn true_answers_are_valid() {
    let verdict = judge(&tally(&[1, 2], &[3], &[4, 5]), &end([&[1, 2, 4], &[1, 2, 4], &[1, 2, 4]]));
    assert_eq!(word(&verdict), "valid", "{:?} {:?}", verdict.violations, verdict.doubts);
}

#[test]
fn a_lost_acknowledgement_on_one_node_is_invalid() {
    let verdict = judge(&tally(&[1, 2], &[], &[]), &end([&[1, 2], &[1], &[1, 2]]));
    assert_eq!(verdict.code, Some(Code::Invalid));
    assert!(verdict.violations[0].contains("n2"), "{:?}", verdict.violations);
}

#[test]
fn a_refused_transaction_that_happened_is_invalid() {
    let verdict = judge(&tally(&[1], &[9], &[]), &end([&[1, 9], &[1, 9], &[1, 9]]));
    assert_eq!(verdict.code, Some(Code::Invalid));
}

#[test]
fn too_little_evidence_is_unknown_and_never_valid() {
    let mut few = tally(&[1], &[], &[]);
    few.yes.retain(|id| *id < 50);
    assert_eq!(judge(&few, &end([&[1], &[1], &[1]])).code, Some(Code::Unknown));
    let vague: Vec<i64> = (1..100).collect();
    assert_eq!(judge(&tally(&[], &[], &vague), &end([&[], &[], &[]])).code, Some(Code::Unknown));
    let mut blind = end([&[1], &[1], &[1]]);
    blind.doubts.push("n3 could not be read".into());
    assert_eq!(judge(&tally(&[1], &[], &[]), &blind).code, Some(Code::Unknown));
}

#[test]
fn the_bank_sees_money_made_lost_and_overdrawn() {
    let bank = bank::Bank { accounts: 2 };
    assert_eq!(bank.judge(&rows(&[(0, 900), (1, 1100)])), Ok(()));
    assert!(bank.judge(&rows(&[(0, 900), (1, 1101)])).is_err());
    assert!(bank.judge(&rows(&[(0, 2000)])).is_err());
    assert!(bank.judge(&rows(&[(0, -1), (1, 2001)])).is_err());
}

#[test]
fn a_transfer_and_its_ledger_row_say_the_same() {
    let bank = bank::Bank { accounts: 5 };
    for draw in [0, 1, u64::MAX, 0x1234_5678_9abc_def0, 4, 1 << 20] {
        let (script, value) = bank.operation(draw, 7);
        let part = |name: &str| value[name].as_i64().expect("a number");
        assert_ne!(part("from"), part("to"), "a transfer to itself moves nothing");
        assert!(script.writes());
        let ledger = Ledger::from([(7, vec![part("from"), part("to"), part("amount")])]);
        let after = bank.fold(&ledger);
        assert_eq!(after.values().sum::<i64>(), 5000);
        assert_eq!(after[&part("to")], 1000 + part("amount"));
    }
}

#[test]
fn counters_add_up() {
    let counter = counter::Counter { counters: 3 };
    let ledger = Ledger::from([(1, vec![0, 2]), (2, vec![0, 1]), (3, vec![2, 3])]);
    assert_eq!(counter.fold(&ledger), BTreeMap::from([(0, 3), (1, 0), (2, 3)]));
    assert!(counter.judge(&rows(&[(0, 3), (1, 0)])).is_err(), "a counter is missing");
}

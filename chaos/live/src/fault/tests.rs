//! What is drawn, what is read, and what comes of each kind.

use super::*;
use plait_world::plan;

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

fn draw_all(seed: u64, span_s: u64) -> Vec<Fault> {
    draw(seed, &words(&WORDS.join(",")), Duration::from_secs(10), Duration::from_secs(span_s)).expect("known")
}

#[test]
fn drawn_faults_come_one_after_the_other_and_can_all_be_done() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let faults = draw_all(seed, 100);
        assert_eq!(faults.len(), 10);
        for pair in faults.windows(2) {
            assert!(pair[0].at_ms < pair[0].until_ms && pair[0].until_ms + 1_000 < pair[1].at_ms, "{pair:?}");
        }
        seen.extend(faults.iter().map(|fault| fault.kind.strike().expect("it can be done").word));
    }
    let wanted = ["clock", "cut", "drop", "kill", "pause", "power-off", "slow", "throttle"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_longer_run_moves_no_fault() {
    assert_eq!(draw_all(7, 100)[..5], draw_all(7, 50)[..]);
    assert_ne!(draw_all(7, 50), draw_all(8, 50));
}

#[test]
fn an_unknown_word_is_refused() {
    let fail =
        draw(1, &words("kill,melt"), Duration::from_secs(10), Duration::from_secs(60)).expect_err("no");
    assert!(fail.to_string().contains("'melt'") && fail.to_string().contains("throttle"), "{fail}");
}

#[test]
fn what_was_written_is_read_again() {
    let faults = draw_all(3, 300);
    let text = serde_json::json!({ "schema": SCHEMA, "span_ms": 300_000, "faults": faults }).to_string();
    assert_eq!(read(&text, "plan.json").expect("our own"), (faults, 300_000));
}

#[test]
fn of_a_plan_of_the_world_what_exists_is_done_and_the_rest_named() {
    let (mut done, mut out) = (0, 0);
    for seed in 0..40 {
        let plan = plan::draw(seed, "swarm-std").expect("a profile");
        let (faults, span_ms) = read(&plan.json(), "plan.json").expect("a plan");
        assert_eq!((faults.len(), span_ms), (plan.faults.len(), plan.span_ms));
        let n = faults.len();
        let (can, left_out) = sort_out(faults, Duration::from_millis(span_ms));
        assert_eq!(can.len() + left_out.len(), n);
        assert!(left_out.iter().all(|one| !one.why.is_empty() && !one.kind.is_empty()));
        done += can.len();
        out += left_out.len();
    }
    assert!(done > 50 && out > 50, "{done} and {out}");
}

#[test]
fn deeds_are_words_of_plait() {
    let said = |kind: FaultKind| {
        let strike = Kind::World(kind).strike().expect("it can be done");
        strike.deeds.iter().map(|deed| deed.join(" ")).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(said(FaultKind::Partition { node: 2 }), "cut n2|n1,n3");
    assert_eq!(said(FaultKind::OneWay { from: 1, to: 3 }), "cut n1>n3");
    assert_eq!(said(FaultKind::WallJump { node: 1, by_us: -2_500_000 }), "clock n1 -2500ms");
    assert_eq!(said(FaultKind::Loss { per_mille: 55 }), "drop n1|n2,n3 --loss 5.5%; drop n2-n3 --loss 5.5%");
    assert_eq!(
        said(FaultKind::Slow { from: 1, to: 2, delay_us: 80_000, jitter_us: 500 }),
        "slow n1>n2 --delay 80ms --jitter 1ms"
    );
    assert_eq!(
        said(FaultKind::Throttle { from: 3, to: 1, bytes_per_s: 20_000 }),
        "throttle n3>n1 --rate 20000B"
    );
}

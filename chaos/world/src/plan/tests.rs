//! Plans come back from their files, and bad ones are refused with what is wrong in them.

use super::*;

#[test]
fn a_plan_comes_back_from_its_file() {
    for seed in 0..200 {
        let plan = draw(seed, "swarm-std").expect("the profile exists");
        assert_eq!(Plan::parse(&plan.json()).expect("it was just written"), plan);
    }
}

#[test]
fn every_name_stands_at_its_place() {
    let mut seen = [false; FaultKind::NAMES.len()];
    for seed in 0..500 {
        for fault in draw(seed, "swarm-std").expect("the profile exists").faults {
            let json = serde_json::to_value(&fault).expect("a fault is JSON");
            assert_eq!(json["kind"], fault.kind.name());
            seen[fault.kind.at()] = true;
        }
    }
    assert_eq!(seen, [true; FaultKind::NAMES.len()], "500 seeds have every kind of fault");
}

#[test]
fn kinds_that_are_drawn_with_care_are_the_ones_that_are_meant() {
    let named = |at: usize| FaultKind::NAMES[at];
    use draw::*;
    let names = [
        TORN, CRASH_ON, POWER_OFF, SYNC_ERROR, WIPE, ROT, KV_ERROR, KV_ROT, CRASH_LOOP, BAD_ENTRY, MISDIRECT,
        FULL, UPGRADE, THROTTLE,
    ]
    .map(named);
    assert_eq!(
        names,
        [
            "torn",
            "crash_on",
            "power_off",
            "sync_error",
            "wipe",
            "rot",
            "kv_error",
            "kv_rot",
            "crash_loop",
            "bad_entry",
            "misdirect",
            "full",
            "upgrade",
            "throttle"
        ]
    );
}

#[test]
fn a_point_is_written_as_it_is_called() {
    for (point, name) in Point::ALL.iter().zip(Point::NAMES) {
        assert_eq!(serde_json::to_value(point).expect("a point is JSON"), *name);
    }
}

#[test]
fn a_bad_plan_is_refused_with_its_flaw() {
    let good = draw(3, "swarm-std").expect("the profile exists");
    let spoil = |change: &dyn Fn(&mut Plan)| {
        let mut plan = good.clone();
        change(&mut plan);
        Plan::parse(&plan.json()).expect_err("it was spoiled").to_string()
    };
    assert!(spoil(&|p| p.schema = "plait.plan/9".into()).contains("plait.plan/1"));
    assert!(spoil(&|p| p.faults[0].kind = FaultKind::Kill { node: 4 }).contains("names node 4"));
    assert!(spoil(&|p| p.faults[0].kind = FaultKind::Cut { a: 2, b: 2 }).contains("two ends"));
    assert!(spoil(&|p| p.faults[0].until_ms = 0).contains("ends before it begins"));
    let narrow = FaultKind::Throttle { from: 1, to: 2, bytes_per_s: 0 };
    assert!(spoil(&|p| p.faults[0].kind = narrow.clone()).contains("no byte a second"));
    assert!(spoil(&|p| p.loads[0].kind = "banq".into()).contains("bank"));
    assert!(spoil(&|p| p.span_ms = u64::MAX).contains("at most"));
    assert!(Plan::parse("{}").expect_err("it is empty").to_string().contains("missing field"));
}

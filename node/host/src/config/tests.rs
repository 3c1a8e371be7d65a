//! What a config file may say, and what is said about one that is wrong.

use super::*;
use plait_store::Settings;

const LEAST: &str = r#"
cluster = "6f1c0a34-7d52-4f0b-9b56-0c1b7e1f2a90"
slot = 2
data_dir = "/tmp/n2"
[listen]
grpc = "127.0.0.1:13352"
[peers]
n1 = "127.0.0.1:13351"
n2 = "127.0.0.1:13352"
n3 = "127.0.0.1:13353"
"#;

fn with(more: &str) -> Result<Config, Error> {
    Config::read(&format!("{LEAST}{more}"), &[])
}

#[test]
fn the_least_file_is_enough_and_the_rest_is_default() {
    let config = with("").unwrap();
    assert_eq!(config.slot.get(), 2);
    assert_eq!(config.cluster.to_string(), "6f1c0a34-7d52-4f0b-9b56-0c1b7e1f2a90");
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.host, Host::default());
    assert_eq!(config.sql.users["plait"], "plait");
    assert_ne!(config.seed(), 0);
}

#[test]
fn each_needed_key_is_missed_by_its_name() {
    let whole = with("").unwrap();
    for key in ["cluster", "slot", "data_dir"] {
        let text: String =
            LEAST.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        assert_eq!(Config::read(&text, &[]).unwrap_err(), Error::Missing { key });
    }
    assert_eq!(whole.peers[2], "127.0.0.1:13353");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    let error = with("[limits]\nleese = \"1s\"\n").unwrap_err();
    assert_eq!(error, Error::UnknownKey { key: "limits.leese".into(), near: Some("limits.lease".into()) });
    assert!(error.to_string().contains("did you mean `limits.lease`?"), "{error}");
    let error = with("[host]\nzzzzzzzzzzzzzzzz = 1\n").unwrap_err();
    assert!(matches!(error, Error::UnknownKey { near: None, .. }), "{error:?}");
}

#[test]
fn a_wrong_value_says_what_it_must_be() {
    let error = with("[limits]\nlease = 300\n").unwrap_err().to_string();
    assert_eq!(error, "`limits.lease` can't be `300`: it must be a span with its unit, as in 25ms or 10s");
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let text = format!("{LEAST}[limits]\nlease = \"1s\"\ntick = \"50ms\"\n");
    let config = Config::read(&text, &["limits.lease=2s".into()]).unwrap();
    assert_eq!(config.limits.lease, Duration::from_secs(2));
    assert_eq!(config.limits.tick, Duration::from_millis(50));
    assert_eq!(config.origin.get("limits.lease"), Some(&"flag"));
    assert_eq!(config.origin.get("limits.tick"), Some(&"file"));
    assert_eq!(config.origin.get("limits.step_work_max"), None);
}

#[test]
fn the_first_named_user_takes_the_place_of_the_default_one() {
    let config = with("[sql.users]\nann = \"a\"\nbob = \"b\"\n").unwrap();
    assert_eq!(config.sql.users.keys().collect::<Vec<_>>(), ["ann", "bob"]);
}

#[test]
fn what_a_knob_shows_it_also_reads() {
    let mut config = with("").unwrap();
    for knob in KNOBS.iter() {
        let shown = (knob.get)(&config);
        (knob.set)(&mut config, &shown).unwrap_or_else(|why| panic!("{} = {shown}: {why}", knob.key));
        assert_eq!((knob.get)(&config), shown, "{}", knob.key);
    }
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.host, Host::default());
}

/// A limit that is added to the machine must get a key here, or this does not compile.
#[test]
fn every_limit_has_a_key() {
    let Limits {
        tick: _,
        election_ticks: _,
        heartbeat_ticks: _,
        lease: _,
        clock_drift_per_mille: _,
        lease_lag_max: _,
        lease_late_max: _,
        commit_timeout: _,
        stable_timeout: _,
        lease_timeout: _,
        lock_timeout: _,
        proposals_max: _,
        entry_bytes_max: _,
        checkpoint_log_bytes: _,
        segment_bytes: _,
        chunk_bytes: _,
        step_work_max: _,
        sessions_max: _,
        store:
            Settings { tombstone_seqnos_max: _, tombstone_bytes_max: _, writeset_bytes_max: _, id_block: _ },
    } = Limits::default();
    assert_eq!(KNOBS.iter().filter(|knob| knob.key.starts_with("limits.")).count(), 22);
}

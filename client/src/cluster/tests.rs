//! Tests of the cluster's file and of what is made from it.

use super::*;

fn key(name: &str) -> Key {
    Key { key: name.into(), default: "1".into(), about: String::new() }
}

fn keys() -> Vec<Key> {
    ["timing_scale", "limits.lease", "power", "sql.database"].map(key).into()
}

fn cluster(more: &str) -> Cluster {
    let mut text = Cluster::new(13300).expect("randomness").text;
    text.push_str(more);
    Cluster::parse(&text).expect("it is well formed")
}

#[test]
fn a_new_cluster_reads_back_and_keeps_its_comments() {
    let dir = std::env::temp_dir().join(format!("plait-cluster-{}", std::process::id()));
    let place = Place::new(dir.clone(), "a").expect("a name");
    let mut cluster = cluster("# mine\ntiming_scale = 4\n");
    cluster.born = true;
    cluster.base = 13400;
    cluster.save(&place).expect("it can be written");
    let again = Cluster::load(&place).expect("it reads back");
    assert_eq!((again.born, again.base, &again.id), (true, 13400, &cluster.id));
    assert!(again.text.contains("# mine") && again.text.contains("timing_scale = 4"));
    assert_ne!(again.id, Cluster::new(13300).expect("randomness").id, "each cluster has an id of its own");
    std::fs::remove_dir_all(dir).expect("it is ours");
}

#[test]
fn flag_beats_environment_beats_file() {
    let cluster = cluster("timing_scale = 4\n[limits]\nlease = \"200ms\"\n");
    let env = |name: &str| (name == "PLAIT_TIMING_SCALE").then(|| "3".to_owned());
    let find =
        |settings: Vec<Setting>, key: &str| settings.into_iter().find(|s| s.key == key).expect("it is set");
    let all = settings(&cluster, &keys(), &["timing_scale=2".into()], &env).expect("all known");
    assert_eq!(find(all, "timing_scale").origin, Origin::Flag);
    let all = settings(&cluster, &keys(), &[], &env).expect("all known");
    assert_eq!(find(all.clone(), "timing_scale").value, toml::Value::Integer(3));
    assert_eq!(find(all.clone(), "timing_scale").origin, Origin::Env("PLAIT_TIMING_SCALE".into()));
    assert_eq!(find(all, "limits.lease").origin, Origin::File);
}

#[test]
fn a_misspelt_key_is_refused_with_the_nearest() {
    let fail =
        settings(&cluster("[limits]\nleese = \"1s\"\n"), &keys(), &[], &|_| None).expect_err("no such key");
    assert_eq!(fail.code, Code::Usage);
    assert!(fail.next[0].contains("limits.lease"), "{fail}");
    let fail =
        settings(&cluster("slot = 2\n"), &keys(), &[], &|_| None).expect_err("it is not the cluster's");
    assert!(fail.why.contains("one node"), "{fail}");
}

#[test]
fn an_unknown_format_is_refused_as_a_wrong_state() {
    let text = cluster("").text.replace("format = 1", "format = 9");
    assert_eq!(Cluster::parse(&text).expect_err("unknown").code, Code::WrongState);
}

#[test]
fn a_node_is_told_its_own_ports_and_the_owners_values() {
    let place = Place::new("/srv/plait".into(), "demo").expect("a name");
    let cluster = cluster("[limits]\nlease = \"200ms\"\n");
    let settings = settings(&cluster, &keys(), &[], &|_| None).expect("all known");
    let text = node_toml(&place, &cluster, &settings, Slot::ALL[1]);
    let table: toml::Table = text.parse().expect("it is TOML");
    assert_eq!(table["slot"].as_integer(), Some(2));
    assert_eq!(table["listen"]["sql"].as_str(), Some("127.0.0.1:13312"));
    assert_eq!(table["peers"]["n3"].as_str(), Some("127.0.0.1:13353"));
    assert_eq!(table["limits"]["lease"].as_str(), Some("200ms"));
    assert_eq!(table["power"].as_bool(), Some(true));
}

#[test]
fn two_empty_nodes_are_refused_and_one_is_not() {
    let dir = std::env::temp_dir().join(format!("plait-empty-{}", std::process::id()));
    let place = Place::new(dir.clone(), "a").expect("a name");
    let give = |slot: Slot| {
        home::make_dir(&place.node(slot)).expect("a directory");
        std::fs::write(place.node(slot).join("identity"), "x").expect("a file");
    };
    give(Slot::ALL[0]);
    let fail = refuse_two_empty(&place).expect_err("two are empty");
    assert_eq!(fail.code, Code::Unsafe);
    assert!(fail.next[1].contains("plait bootstrap --node n1"), "{fail}");
    give(Slot::ALL[2]);
    refuse_two_empty(&place).expect("one alone may join again");
    std::fs::remove_dir_all(dir).expect("it is ours");
}

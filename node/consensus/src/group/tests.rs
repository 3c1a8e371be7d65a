//! Three groups on one table: messages arrive in the order they were sent, writes are durable at once.

use super::*;
use plait_base::disk::{Disk, Error, File, Op};
use plait_base::{Room, Wall};

/// A disk on which everything that was asked for is there at once.
#[derive(Default, Clone)]
struct Shelf(BTreeMap<File, Vec<u8>>);

impl Shelf {
    fn perform(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Create { file, bytes } => {
                    self.0.insert(*file, vec![0; *bytes as usize]);
                }
                Op::Write { file, at, bytes } => {
                    let at = *at as usize;
                    self.0.get_mut(file).expect("it was created")[at..at + bytes.len()]
                        .copy_from_slice(bytes);
                }
                Op::Remove { file } | Op::Aside { file } => {
                    self.0.remove(file);
                }
            }
        }
    }
}

impl Disk for Shelf {
    fn list(&self) -> Result<Vec<File>, Error> {
        Ok(self.0.keys().copied().collect())
    }
    fn read(&self, file: File) -> Result<Vec<u8>, Error> {
        Ok(self.0[&file].clone())
    }
}

const LATE_MAX: Duration = Duration::from_millis(20);
const CLUSTER: ClusterId = ClusterId([7; 16]);

fn config(slot: Slot) -> Config {
    Config {
        slot,
        cluster: CLUSTER,
        nonce: 99,
        bootstrap: false,
        reads: Reads::Lease,
        tick: Duration::from_millis(25),
        election_ticks: [10, 13, 16],
        heartbeat_ticks: 3,
        lengths: Lengths {
            lease: Duration::from_millis(300),
            drift_per_mille: 25,
            lag_max: 1000,
            late_max: LATE_MAX,
        },
        commit_timeout: Duration::from_secs(2),
        proposals_max: 100,
        entry_bytes_max: 1 << 20,
        segment_bytes: 1 << 16,
    }
}

struct Table {
    nodes: BTreeMap<Slot, Consensus>,
    shelves: BTreeMap<Slot, Shelf>,
    applied: BTreeMap<Slot, Vec<Bytes>>,
    unresolved: Vec<(ProposalId, bool)>,
    /// The next start is a forced recovery.
    bootstrap: bool,
    events: Vec<(Slot, Event)>,
    /// Whose writes take so long, and when each of these is durable.
    slow: BTreeMap<Slot, Duration>,
    writing: VecDeque<(Mono, Slot, u64)>,
    /// From whom to whom nothing comes.
    cut: Option<(Slot, Slot)>,
    frames: usize,
    now: Now,
}

impl Table {
    fn laid() -> Table {
        let mut table = Table {
            nodes: BTreeMap::new(),
            shelves: BTreeMap::new(),
            applied: BTreeMap::new(),
            unresolved: Vec::new(),
            bootstrap: false,
            events: Vec::new(),
            slow: BTreeMap::new(),
            writing: VecDeque::new(),
            cut: None,
            frames: 0,
            now: Now { mono: Mono(1_000_000_000), wall: Wall(0) },
        };
        for slot in Slot::ALL {
            let bytes = identity(CLUSTER, MemberId::first(slot), false);
            table.shelves.insert(slot, Shelf(BTreeMap::from([(File::Identity, bytes.to_vec())])));
            table.start(slot);
        }
        table
    }

    fn start(&mut self, slot: Slot) {
        let boot = Boot { now: self.now, disk: &self.shelves[&slot], checkpoint: None };
        let config = Config { bootstrap: self.bootstrap, ..config(slot) };
        self.nodes.insert(slot, Consensus::open(config, boot).expect("the disk is whole"));
        self.applied.insert(slot, Vec::new());
        self.settle();
    }

    /// Delivers until nothing is under way.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let mut quiet = true;
            for slot in Slot::ALL {
                // As a replica does: what the first flush led to is done before the second, and then it speaks.
                for frames in [false, false, true] {
                    let mut effects = Vec::new();
                    match self.nodes.get_mut(&slot) {
                        Some(node) if frames => node.frames(&mut effects),
                        Some(node) => node.flush(self.now, &mut effects),
                        None => {}
                    }
                    quiet &= effects.is_empty();
                    effects.into_iter().for_each(|effect| self.perform(slot, effect));
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the group does not come to rest");
    }

    fn perform(&mut self, slot: Slot, effect: Effect) {
        let node = self.nodes.get_mut(&slot).expect("it spoke a moment ago");
        match effect {
            Effect::Send { to, frame, .. } => {
                self.frames += 1;
                if self.cut == Some((slot, to)) {
                    return;
                }
                if let Some(peer) = self.nodes.get_mut(&to) {
                    peer.receive(self.now, slot, &frame);
                }
            }
            Effect::Persist(persist) => {
                self.shelves.get_mut(&slot).expect("each has one").perform(&persist.ops);
                let busy = self.writing.iter().rev().find(|(_, of, _)| *of == slot).map(|(end, ..)| *end);
                match self.slow.get(&slot) {
                    None if busy.is_none() => node.persisted(self.now, persist.token),
                    span => {
                        let begin = busy.unwrap_or(self.now.mono).max(self.now.mono);
                        let end = begin + span.copied().unwrap_or_default();
                        self.writing.push_back((end, slot, persist.token));
                    }
                }
            }
            Effect::Committed { index, group, .. } => {
                for proposal in group {
                    node.settle(proposal.id);
                    self.applied.get_mut(&slot).expect("each has one").push(proposal.op);
                }
                node.applied(self.now, index, index.0);
            }
            Effect::Unresolved { id, sent } => self.unresolved.push((id, sent)),
            Effect::Event(event) => self.events.push((slot, event)),
            Effect::PeerApplied { index, chain, .. } => assert_eq!(chain, index.0),
            other => panic!("nothing here leads to {other:?}"),
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.now.mono < end {
            self.now.mono = self.now.mono + Duration::from_millis(5);
            for slot in Slot::ALL {
                // One after the other, each disk at its own pace.
                let due = |w: &(Mono, Slot, u64)| w.1 == slot && w.0 <= self.now.mono;
                while let Some(at) = self.writing.iter().position(due) {
                    let (_, slot, token) = self.writing.remove(at).expect("it was found a moment ago");
                    self.nodes.get_mut(&slot).expect("it is up").persisted(self.now, token);
                }
            }
            for node in self.nodes.values_mut() {
                node.tick(self.now);
            }
            self.settle();
        }
    }

    fn leader(&self) -> Slot {
        let leading: Vec<Slot> = self.nodes.iter().filter(|(_, n)| n.leads()).map(|(s, _)| *s).collect();
        assert_eq!(leading.len(), 1, "one leads");
        leading[0]
    }

    fn propose(&mut self, slot: Slot, text: &'static str) -> ProposalId {
        let node = self.nodes.get_mut(&slot).expect("it is up");
        node.propose(self.now, Room::Store, Bytes::from_static(text.as_bytes())).expect("there is room")
    }
}

fn slot(n: u8) -> Slot {
    Slot::new(n).expect("1, 2 or 3")
}

#[test]
fn the_slot_with_the_shortest_patience_leads_and_all_get_leases() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    assert_eq!(table.leader(), slot(1));
    for node in table.nodes.values() {
        assert_eq!(node.may_read(table.now, Strand::Store), Ok(()));
    }
}

#[test]
fn a_proposal_from_anywhere_is_applied_everywhere_in_one_order_and_becomes_stable() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.propose(slot(3), "from a follower");
    table.propose(slot(1), "from the leader");
    table.settle();
    let first = table.applied[&slot(1)].clone();
    assert_eq!(first.len(), 2);
    assert!(table.applied.values().all(|list| *list == first));
    assert!(table.nodes.values().all(|n| n.stable(Strand::Store) == n.applied_index() && n.waiting() == 0));
}

#[test]
fn a_commit_costs_nine_frames() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.frames = 0;
    table.propose(slot(1), "one");
    table.settle();
    // Entries, to both; the answer of the one that is waited for; the commit and what the leader applied, one for each
    // follower; what each follower applied, to the two others.
    assert_eq!(table.frames, 2 + 1 + 2 + 4);
    assert!(table.nodes.values().all(|n| n.stable(Strand::Store) == n.applied_index()));
}

#[test]
fn who_does_not_hear_of_a_peer_learns_from_the_leader_what_is_stable() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.cut = Some((slot(3), slot(2)));
    table.propose(slot(2), "one");
    table.settle();
    assert!(table.nodes[&slot(2)].stable(Strand::Store) < table.nodes[&slot(2)].applied_index());
    table.pass(Duration::from_millis(25));
    assert_eq!(table.nodes[&slot(2)].stable(Strand::Store), table.nodes[&slot(2)].applied_index());
}

#[test]
fn without_a_majority_there_is_no_lease_and_what_was_never_handed_on_is_a_definite_no() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.nodes.remove(&slot(1));
    table.nodes.remove(&slot(2));
    table.pass(Duration::from_millis(900));
    assert!(table.nodes[&slot(3)].may_read(table.now, Strand::Store).is_err());
    let id = table.propose(slot(3), "to nobody");
    table.pass(Duration::from_secs(3));
    assert_eq!(table.unresolved, [(id, false)]);
}

#[test]
fn a_dead_leader_is_replaced_and_comes_back_as_a_follower_with_its_log() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.propose(slot(2), "before");
    table.settle();
    table.nodes.remove(&slot(1));
    for survivor in [2, 3] {
        table.nodes.get_mut(&slot(survivor)).expect("it is up").peer_down(slot(1));
    }
    table.pass(Duration::from_millis(700));
    let id = table.propose(slot(3), "after");
    table.pass(Duration::from_millis(400));
    assert_ne!(table.leader(), slot(1));
    assert_eq!(table.applied[&slot(2)].len(), 2);
    assert!(table.unresolved.is_empty(), "{id} was settled");
    table.start(slot(1));
    table.pass(Duration::from_millis(800));
    assert_eq!(table.applied[&slot(1)], table.applied[&slot(2)]);
    assert_eq!(table.nodes[&slot(1)].may_read(table.now, Strand::Store), Ok(()));
}

#[test]
fn a_silent_node_holds_the_stable_index_until_its_lease_has_surely_run_out() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.nodes.remove(&slot(3));
    table.propose(slot(1), "while one is silent");
    table.settle();
    let leader = &table.nodes[&slot(1)];
    assert!(leader.stable(Strand::Store) < leader.applied_index(), "its lease may still run");
    table.pass(Duration::from_millis(320));
    let leader = &table.nodes[&slot(1)];
    assert_eq!(leader.stable(Strand::Store), leader.applied_index());
}

#[test]
fn proof_of_death_ends_the_wait_at_once_but_only_for_the_start_that_was_granted_to() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    let epoch = table.nodes[&slot(3)].epoch();
    table.nodes.remove(&slot(3));
    table.propose(slot(1), "while one is dead");
    table.settle();
    let now = table.now;
    let leader = table.nodes.get_mut(&slot(1)).expect("it is up");
    leader.dead(now, slot(3), BootEpoch(epoch.0 - 1));
    table.settle();
    assert!(table.nodes[&slot(1)].stable(Strand::Store) < table.nodes[&slot(1)].applied_index());
    table.nodes.get_mut(&slot(1)).expect("it is up").dead(now, slot(3), epoch);
    table.settle();
    assert_eq!(table.nodes[&slot(1)].stable(Strand::Store), table.nodes[&slot(1)].applied_index());
}

#[test]
fn an_epoch_that_is_not_on_the_disk_yet_is_told_to_nobody() {
    let table = Table::laid();
    let boot = Boot { now: table.now, disk: &table.shelves[&slot(1)], checkpoint: None };
    let mut node = Consensus::open(config(slot(1)), boot).expect("the disk is whole");
    let epoch = table.nodes[&slot(1)].durable_epoch();
    assert_eq!(node.epoch().0, epoch.0 + 1, "it is the second start");
    assert_eq!(node.durable_epoch(), BootEpoch(0), "and the third may be the second one's equal");
    let mut effects = Vec::new();
    node.flush(table.now, &mut effects);
    for effect in effects {
        if let Effect::Persist(persist) = effect {
            node.persisted(table.now, persist.token);
        }
    }
    assert_eq!(node.durable_epoch(), node.epoch());
}

#[test]
fn a_wiped_node_is_taken_in_as_its_next_incarnation() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.propose(slot(1), "what the wiped one must learn");
    table.settle();
    table.nodes.remove(&slot(3));
    table.shelves.insert(slot(3), Shelf::default());
    table.start(slot(3));
    table.pass(Duration::from_secs(3));
    let member = table.nodes[&slot(3)].member().expect("it was taken in");
    assert_eq!(member.incarnation.0, 2);
    assert!(table.nodes[&slot(1)].members().expect("a member").is_voter(member));
    assert_eq!(table.applied[&slot(3)], table.applied[&slot(1)]);
    assert_eq!(table.nodes[&slot(3)].may_read(table.now, Strand::Store), Ok(()));
}

#[test]
fn bytes_that_are_no_frame_are_refused_and_named() {
    let mut table = Table::laid();
    let now = table.now;
    let node = table.nodes.get_mut(&slot(1)).expect("it is up");
    for bytes in [&b""[..], b"\xff\xff", b"\x01\x00garbage that goes on for a while........"] {
        node.receive(now, slot(2), &Bytes::copy_from_slice(bytes));
    }
    let mut effects = Vec::new();
    node.flush(now, &mut effects);
    let refused = effects.iter().filter(|e| matches!(e, Effect::Event(Event::FrameRefused { .. }))).count();
    assert_eq!(refused, 3);
}

#[test]
fn a_raft_message_survives_its_codec() {
    let mut m = raft::eraftpb::Message::default();
    m.set_msg_type(raft::eraftpb::MessageType::MsgAppend);
    (m.from, m.to, m.term, m.log_term, m.index, m.commit) = (257, 258, 9, 8, 41, 40);
    let mut e = raft::eraftpb::Entry::default();
    (e.index, e.term, e.data) = (42, 9, Bytes::from_static(b"group"));
    m.entries.push(e);
    m.reject = true;
    m.reject_hint = 3;
    // The question for a read index: an entry without a place.
    let mut question = raft::eraftpb::Message::default();
    question.set_msg_type(raft::eraftpb::MessageType::MsgReadIndex);
    (question.from, question.to) = (257, 258);
    question
        .entries
        .push(raft::eraftpb::Entry { data: Bytes::from_static(b"context"), ..Default::default() });
    let messages = [m, question].map(|m| Message::Raft(Box::new(m))).into();
    let frame = Frame { from: Some(MemberId::first(slot(1))), messages };
    assert_eq!(Frame::decode(slot(1), &frame.encode()), Ok(frame));
}

#[test]
fn after_a_forced_recovery_the_log_alone_says_who_is_left() {
    let mut table = Table::laid();
    table.pass(Duration::from_secs(1));
    table.propose(slot(2), "before");
    table.pass(Duration::from_secs(1));
    table.nodes.clear();
    table.bootstrap = true;
    table.start(slot(1));
    while table.nodes[&slot(1)].recovering() {
        table.pass(Duration::from_millis(5));
    }
    // Nothing else was written: the next start has no later entry from which to learn what is committed.
    table.bootstrap = false;
    table.nodes.clear();
    table.start(slot(1));
    table.pass(Duration::from_secs(1));
    assert_eq!(table.leader(), slot(1));
    assert_eq!(table.applied[&slot(1)], ["before"]);
    assert_eq!(table.nodes[&slot(1)].members().expect("it is one").voters, [MemberId::first(slot(1))]);
}

/// Writes for a while with these disks slow; who leads then.
fn leader_after_writing(slow: &[u8]) -> Slot {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.slow = slow.iter().map(|n| (slot(*n), Duration::from_millis(150))).collect();
    for _ in 0..20 {
        table.propose(slot(2), "one of many");
        table.pass(Duration::from_millis(50));
    }
    let led_by = table.leader();
    table.slow.clear();
    table.pass(Duration::from_secs(20));
    // A proposal that waited for long was handed in again, and duplicates are for others to know.
    let applied = table.applied.values().map(Vec::len).collect::<Vec<_>>();
    assert!(applied.iter().all(|n| *n == applied[0] && *n >= 20), "nothing is lost: {applied:?}");
    led_by
}

#[test]
fn a_leader_whose_disk_is_slow_hands_over_and_a_follower_does_not_matter() {
    assert_ne!(leader_after_writing(&[1]), slot(1));
    assert_eq!(leader_after_writing(&[2]), slot(1));
    assert_eq!(leader_after_writing(&[3]), slot(1));
    assert_eq!(leader_after_writing(&[1, 2, 3]), slot(1), "nobody is quicker");
}

#[test]
fn a_leader_that_is_about_to_end_hands_over_at_once() {
    let mut table = Table::laid();
    table.pass(Duration::from_millis(800));
    table.propose(slot(3), "before");
    let leader = table.nodes.get_mut(&slot(1)).expect("it is up");
    assert!(leader.hand_over(Index::ZERO, "it is about to end"));
    table.settle();
    assert_ne!(table.leader(), slot(1));
    table.propose(slot(1), "after");
    table.pass(Duration::from_millis(400));
    assert_eq!(table.applied[&slot(2)], ["before", "after"].map(|text| Bytes::from_static(text.as_bytes())));
    assert!(!table.nodes.get_mut(&slot(1)).expect("it is up").hand_over(Index::ZERO, "it leads no more"));
}

/// Writes once every five milliseconds, for ten ticks.
fn write_on(table: &mut Table) {
    for _ in 0..50 {
        table.propose(slot(1), "one of many");
        table.pass(Duration::from_millis(5));
    }
}

#[test]
fn the_disk_of_one_follower_is_waited_for_and_the_other_writes_at_its_ticks() {
    let mut table = Table::laid();
    table.pass(Duration::from_secs(1));
    let before = Slot::ALL.map(|slot| table.nodes[&slot].token);
    write_on(&mut table);
    let writes: Vec<u64> =
        Slot::ALL.iter().zip(before).map(|(slot, before)| table.nodes[slot].token - before).collect();
    assert!(writes[0] >= 50 && writes[1] >= 50 && writes[2] <= 11, "{writes:?}");
    let applied = table.nodes[&slot(1)].applied_index();
    assert!(table.nodes.values().all(|node| node.stable(Strand::Store) == applied), "all apply at once");
    assert!(table.nodes[&slot(3)].durable_index() < applied, "also who has yet to write it");
    table.pass(Duration::from_millis(25));
    assert_eq!(table.nodes[&slot(3)].durable_index(), applied);
}

#[test]
fn a_follower_that_is_waited_for_and_does_not_answer_is_replaced_by_the_other() {
    for silent in [2, 3] {
        let mut table = Table::laid();
        table.pass(Duration::from_secs(1));
        table.slow.insert(slot(silent), Duration::from_secs(2));
        write_on(&mut table);
        table.pass(Duration::from_millis(50));
        let (leader, other) = (&table.nodes[&slot(1)], slot(5 - silent));
        assert_eq!(leader.applied_index(), leader.commit());
        assert_eq!(table.applied[&slot(1)].len(), 50, "two disks are enough");
        let token = table.nodes[&other].token;
        write_on(&mut table);
        assert!(table.nodes[&other].token - token >= 50, "n{silent} is not waited for any more");
    }
}

#[test]
fn what_was_held_back_is_lost_with_its_node_and_comes_again() {
    let mut table = Table::laid();
    table.pass(Duration::from_secs(1));
    table.propose(slot(3), "yes without its own disk");
    table.settle();
    assert_eq!(table.applied[&slot(3)].len(), 1);
    table.nodes.remove(&slot(3));
    table.start(slot(3));
    assert_eq!(table.applied[&slot(3)].len(), 0, "its log ends before it");
    table.pass(Duration::from_secs(1));
    assert_eq!(table.applied[&slot(3)], table.applied[&slot(1)]);
}

#[test]
fn a_frame_that_was_changed_on_its_way_is_refused_whichever_bit_it_was() {
    let applied = Message::Applied { strand: Strand::Store, index: Index(77), chain: 0x1234_5678_9abc_def0 };
    let frame = Frame { from: Some(MemberId::first(slot(1))), messages: vec![applied] };
    let whole = frame.encode();
    assert_eq!(Frame::decode(slot(1), &whole), Ok(frame));
    for bit in 0..whole.len() * 8 {
        let mut spoiled = whole.to_vec();
        spoiled[bit / 8] ^= 1 << (bit % 8);
        let found = Frame::decode(slot(1), &spoiled.into());
        assert!(matches!(found, Err(plait_base::codec::Error::Checksum { .. })), "bit {bit}: {found:?}");
    }
}

//! A node starts: from nothing, from its log, or empty and asking to be taken in.

use super::handover::Syncs;
use super::hurry::Hurry;
use super::membership::conf_state;
use super::{Config, Consensus, Group, Observed, StrandState};
use crate::event::Event;
use crate::lease::{Holder, Stable, Strand};
use crate::log::Log;
use crate::members::Members;
use crate::proposals::{Origin, Queue};
use crate::wal::{HardState, LogEntry, RecoverError, Wal};
use plait_base::disk::{self, Disk, File, Op};
use plait_base::{
    BootEpoch, Bytes, ClusterId, FORMAT, Index, MemberId, Mono, Now, Reader, Term, Writer, codec,
};
use raft::{RawNode, ReadOnlyOption};
use std::collections::{BTreeMap, VecDeque};

/// The state that a checkpoint holds, as far as the order is concerned.
#[derive(Debug, Clone)]
pub struct Image {
    pub index: Index,
    pub term: Term,
    pub members: Members,
    /// The state's hash chain at `index`.
    pub chain: u64,
}

/// What a node starts from.
pub struct Boot<'a> {
    pub now: Now,
    pub disk: &'a dyn Disk,
    /// The newest checkpoint that could be opened.
    pub checkpoint: Option<Image>,
}

/// Why a node cannot start from what is on its disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A format that this build does not know, another cluster's directory, an unreadable disk: nothing was
    /// touched, and somebody has to look.
    #[error("{0}")]
    Refused(String),
    /// The log or the state is damaged or incomplete. The slot is to be started empty, if the others live.
    #[error("{0}")]
    Damaged(String),
}

/// The bytes of a node's `identity` file: format, cluster, slot, incarnation, and whether its log was made.
pub fn identity(cluster: ClusterId, member: MemberId, started: bool) -> Bytes {
    let mut w = Writer::new();
    w.raw(b"plait-id").u16(FORMAT).raw(&cluster.0).u64(member.raft()).bool(started);
    let crc = crc32c::crc32c(&w.0);
    w.u32(crc);
    w.finish()
}

/// Why an identity file says nothing.
enum NoIdentity {
    /// Of a format that this build does not know.
    Foreign(String),
    /// Half written or damaged. The log beside it, if there is one, names the member too.
    Unreadable,
}

fn read_identity(bytes: &[u8]) -> Result<(ClusterId, MemberId, bool), NoIdentity> {
    let read = || -> Result<_, codec::Error> {
        let mut r = Reader::new(bytes);
        let magic = r.raw(8)?;
        let format = r.u16()?;
        if magic == b"plait-id" && format != FORMAT {
            return Err(codec::Error::Format(format));
        }
        let cluster = ClusterId(r.raw(16)?.try_into().expect("sixteen bytes"));
        let id = r.u64()?;
        let member = MemberId::from_raft(id).ok_or(codec::Error::Tag { what: "a member", tag: id })?;
        let started = r.bool()?;
        Ok((magic == b"plait-id", cluster, member, started, r.u32()?))
    };
    match read() {
        Err(codec::Error::Format(_)) if is_of_format(bytes) => Err(NoIdentity::Unreadable),
        Err(why @ codec::Error::Format(_)) => Err(NoIdentity::Foreign(format!("the identity file: {why}"))),
        Ok((true, cluster, member, started, crc)) if crc == crc32c::crc32c(&bytes[..bytes.len() - 4]) => {
            Ok((cluster, member, started))
        }
        _ => Err(NoIdentity::Unreadable),
    }
}

/// Whether the check sum fits once the format's number is this build's: then that number is a flipped bit and no other
/// build's.
fn is_of_format(bytes: &[u8]) -> bool {
    let Some((summed, crc)) = bytes.split_last_chunk::<4>() else { return false };
    let mut summed = summed.to_vec();
    let Some(format) = summed.get_mut(8..10) else { return false };
    format.copy_from_slice(&FORMAT.to_le_bytes());
    crc32c::crc32c(&summed).to_le_bytes() == *crc
}

#[cfg(test)]
mod tests;

impl Consensus {
    /// Reads what is on the disk and makes the node ready. The first flush puts out what is to be written.
    pub fn open(config: Config, boot: Boot) -> Result<Consensus, OpenError> {
        let refused = |why: disk::Error| OpenError::Refused(why.to_string());
        let mut me = Consensus {
            next_tick: boot.now.mono + config.tick,
            next_join: boot.now.mono,
            config,
            group: None,
            token: 0,
            started_at: 0,
            note_at: None,
            durable: 0,
            held: Vec::new(),
            written: VecDeque::new(),
            outbox: BTreeMap::new(),
            effects: Vec::new(),
        };
        let files = boot.disk.list().map_err(refused)?;
        let recovered = Wal::recover(boot.disk, me.config.cluster, me.config.segment_bytes);
        let recovered = match recovered {
            Ok(recovered) => recovered,
            Err(why @ RecoverError::DamagedMiddle { .. }) => return Err(OpenError::Damaged(why.to_string())),
            Err(why) => return Err(OpenError::Refused(why.to_string())),
        };
        let known = match files.contains(&File::Identity) {
            true => match read_identity(&boot.disk.read(File::Identity).map_err(refused)?) {
                Ok(known) => Some(known),
                Err(NoIdentity::Foreign(why)) => return Err(OpenError::Refused(why)),
                Err(NoIdentity::Unreadable) => None,
            },
            false => None,
        };
        // The file is written anew only while the log beside it is durable: if it is torn, the log names the
        // member, and without a log this node has never taken part.
        let by_log = || recovered.as_ref().map(|found| (me.config.cluster, found.member, false));
        let Some((cluster, member, started)) = known.or_else(by_log) else {
            return match boot.checkpoint {
                None => Ok(me),
                Some(_) => {
                    Err(OpenError::Damaged("there is a checkpoint here and no log beside it".to_owned()))
                }
            };
        };
        if cluster != me.config.cluster || member.slot != me.config.slot {
            return Err(OpenError::Refused(format!(
                "this directory belongs to {member} of cluster {cluster}, not to {} of cluster {}",
                me.config.slot, me.config.cluster
            )));
        }
        let Some(found) = recovered else {
            if started || boot.checkpoint.is_some() {
                return Err(OpenError::Damaged("its log was made once and is not there".to_owned()));
            }
            me.make_log(boot.now.mono, member);
            return Ok(me);
        };
        if found.member != member {
            return Err(OpenError::Refused(format!(
                "the log belongs to {}, the identity file to {member}",
                found.member
            )));
        }
        if let Some(torn) = &found.cut_tail {
            me.event(Event::TornTailCut { after: torn.last_valid, why: torn.why.to_string() });
        }
        me.resume(boot.now.mono, found, boot.checkpoint, started)?;
        Ok(me)
    }

    /// A member's first start: an empty log. The log is made first, then the identity file says that it was.
    fn make_log(&mut self, now: Mono, member: MemberId) {
        let mut ops = Vec::new();
        let mut wal = Wal::create(self.config.cluster, member, self.config.segment_bytes, &mut ops);
        let epoch = BootEpoch(u64::from(member.incarnation.0) << 32 | 1);
        wal.boot(epoch, &mut ops);
        let token = self.persist(ops);
        self.written.push_back((token, wal.written()));
        self.note_started_after(token);
        let base = (Index::ZERO, Term::ZERO);
        self.begin(now, member, epoch, wal, HardState::default(), base, &[], None);
    }

    /// The node takes part once the log up to `token` is durable and the identity file, written after that, says so.
    fn note_started_after(&mut self, token: u64) {
        self.started_at = u64::MAX;
        self.note_at = Some(token);
    }

    pub(super) fn note_started(&mut self) {
        let member = self.member().expect("only a member has a log");
        self.started_at = self.persist(identity_ops(self.config.cluster, member, true));
    }

    /// An empty node was given its incarnation.
    pub(super) fn become_member(&mut self, member: MemberId) {
        self.persist(identity_ops(self.config.cluster, member, false));
        let now = self.next_tick;
        self.make_log(now, member);
    }

    fn resume(
        &mut self,
        now: Mono,
        found: crate::wal::Recovered,
        checkpoint: Option<Image>,
        started: bool,
    ) -> Result<(), OpenError> {
        let crate::wal::Recovered { mut wal, member, epoch, mut hard, mut base, mut entries, ops, .. } =
            found;
        if !ops.is_empty() {
            self.persist(ops);
        }
        let epoch = BootEpoch((u64::from(member.incarnation.0) << 32 | 1).max(epoch.0 + 1));
        let mut ops = Vec::new();
        wal.boot(epoch, &mut ops);
        let last = entries.last().map_or(base.0, |e| e.index);
        let term_at = |index: Index| match index {
            _ if index == base.0 => Some(base.1),
            _ if index < base.0 => None,
            _ => entries.get((index.0 - base.0.0 - 1) as usize).map(|e| e.term),
        };
        match &checkpoint {
            None if base.0 > Index::ZERO => {
                return Err(OpenError::Damaged(format!(
                    "the log begins after {} and no checkpoint that reaches so far could be opened",
                    base.0
                )));
            }
            Some(image) if image.index < base.0 => {
                return Err(OpenError::Damaged(format!(
                    "the log begins after {} and the newest checkpoint that could be opened ends at {}",
                    base.0, image.index
                )));
            }
            // A snapshot was stored and the node died before its log was set to begin there; or the log's tail is
            // not the one that was committed. What the checkpoint holds is committed.
            Some(image) if term_at(image.index) != Some(image.term) => {
                if last > image.index && image.index < hard.commit {
                    return Err(OpenError::Damaged(format!(
                        "entry {} of the log is of another term than the checkpoint says",
                        image.index
                    )));
                }
                hard.term = hard.term.max(image.term);
                hard.commit = image.index;
                wal.reset(image.index, image.term, Bytes::new(), &mut ops);
                wal.append(&[], Some(hard), &mut ops);
                base = (image.index, image.term);
                entries.clear();
            }
            _ => {}
        }
        self.started_at = self.persist(ops);
        self.written.push_back((self.started_at, wal.written()));
        if !started {
            self.note_started_after(self.started_at);
        }
        self.begin(now, member, epoch, wal, hard, base, &entries, checkpoint);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn begin(
        &mut self,
        now: Mono,
        member: MemberId,
        epoch: BootEpoch,
        wal: Wal,
        mut hard: HardState,
        base: (Index, Term),
        entries: &[LogEntry],
        checkpoint: Option<Image>,
    ) {
        let applied = checkpoint.as_ref().map_or(Index::ZERO, |c| c.index);
        let chain = checkpoint.as_ref().map_or(0, |c| c.chain);
        let mut members = checkpoint.map_or_else(Members::genesis, |c| c.members);
        let mut lost = Vec::new();
        if self.config.bootstrap {
            lost = members.voters.iter().chain(&members.learners).copied().filter(|m| *m != member).collect();
            members.alone(member);
            self.event(Event::Bootstrapped { member });
        }
        let last = entries.last().map_or(base.0, |e| e.index);
        hard.commit = hard.commit.max(applied).min(last);
        let conf = conf_state(&members.voters, &members.learners);
        let log = Log::new(hard, conf, base, entries);
        let mine = self.config.election_ticks[self.config.slot.at()] as usize;
        let shortest = self.config.election_ticks.iter().min().copied().expect("three slots") as usize;
        let settings = raft::Config {
            id: member.raft(),
            election_tick: shortest,
            heartbeat_tick: self.config.heartbeat_ticks as usize,
            applied: applied.0,
            max_size_per_msg: self.config.entry_bytes_max as u64,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            // The window holds one value, so that raft-rs's own random draw has no choice left.
            min_election_tick: mine,
            max_election_tick: mine + 1,
            read_only_option: ReadOnlyOption::Safe,
            batch_append: true,
            max_uncommitted_size: 64 << 20,
            max_committed_size_per_ready: 4 << 20,
            ..raft::Config::default()
        };
        let quiet = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&settings, log, &quiet)
            .unwrap_or_else(|why| panic!("what was recovered is a state that Raft can start from: {why}"));
        let raft = &raw.raft;
        let observed =
            Observed { term: raft.term, vote: raft.vote, leader: raft.leader_id, role: raft.state };
        let lengths = self.config.lengths;
        self.event(Event::Started { member, epoch, term: hard.term, last });
        self.group = Some(Group {
            member,
            epoch,
            wal,
            members,
            observed,
            written_vote: (hard.term, hard.vote),
            durable_term: hard.term,
            raw,
            in_flight: VecDeque::new(),
            durable_last: last,
            hurry: Hurry::default(),
            hurried: false,
            syncs: Syncs::default(),
            changes: BTreeMap::new(),
            origin: Origin::new(member.slot, epoch, self.config.proposals_max),
            queue: Queue::default(),
            applied,
            told_applied: Index::ZERO,
            chain,
            strands: Strand::ALL
                .into_iter()
                .map(|strand| StrandState {
                    strand,
                    holder: Holder::new(now, epoch, lengths),
                    was_usable: false,
                    stable: Stable::default(),
                    told_stable: Index::ZERO,
                    waited: false,
                    repeated_stable: Index::ZERO,
                    grants: None,
                    in_round: Vec::new(),
                    next_round: Vec::new(),
                    round: None,
                })
                .collect(),
            reads: Default::default(),
            rounds: 0,
            snapshots: BTreeMap::new(),
            lost,
            noted_at: 0,
            offered: None,
        });
    }
}

fn identity_ops(cluster: ClusterId, member: MemberId, started: bool) -> Vec<Op> {
    let bytes = identity(cluster, member, started);
    let create = Op::Create { file: File::Identity, bytes: bytes.len() as u64 };
    vec![create, Op::Write { file: File::Identity, at: 0, bytes }]
}

//! Positions go forward: commit, applied and stable index of one life of a node never go down, and nothing is
//! applied that is not committed.
//!
//! Why it must hold: a committed entry is on a majority for ever; a node applies in order what it knows to be
//! committed; a stable index once announced is a fact in every term. A restart forgets what was not durable, so
//! each life of a process is judged by itself. A node that takes over a snapshot goes forward too.

use super::Look;

#[derive(Debug, Default)]
pub struct Commits {
    last: [Option<Seen>; 3],
    /// Highest applied index of any node, ever.
    pub applied_max: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    life: u32,
    commit: u64,
    applied: u64,
    stable: u64,
    seqno: u64,
    term: u64,
}

impl Commits {
    pub fn look(&mut self, look: &Look) -> Result<(), String> {
        let s = &look.status;
        let seen = Seen {
            life: look.life,
            commit: s.commit_index,
            applied: s.applied_index,
            stable: s.stable_index,
            seqno: s.seqno.0,
            term: s.term,
        };
        let slot = look.slot;
        self.applied_max = self.applied_max.max(seen.applied);
        let before = self.last[slot.at()].replace(seen).filter(|before| before.life == look.life);
        if seen.applied > seen.commit {
            return Err(format!(
                "{slot} applied index {} and knows only {} to be committed",
                seen.applied, seen.commit
            ));
        }
        let Some(before) = before else { return Ok(()) };
        for (what, was, is) in [
            ("commit index", before.commit, seen.commit),
            ("applied index", before.applied, seen.applied),
            ("stable index", before.stable, seen.stable),
            ("seqno", before.seqno, seen.seqno),
            ("term", before.term, seen.term),
        ] {
            if is < was {
                return Err(format!("the {what} of {slot} went from {was} back to {is}"));
            }
        }
        Ok(())
    }
}

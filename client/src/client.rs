//! A client of a whole cluster: transactions with a deadline, on whichever node serves.
//!
//! What may be tried again is tried again, on another node if the trouble is with the node, until the deadline; what
//! has an unknown outcome never is. With the budget spent, the last definite refusal is the answer.

use crate::error::Error;
use crate::link::{self, Done, Failure, Link, Seat};
use crate::script::{Isolation, Script};
use plait_proto::client::v1::{self as wire, request::Kind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long and how often a transaction is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From the call to its answer, all attempts together. Default 10 s.
    pub deadline: Duration,
    /// Attempts of one transaction. Default 64.
    pub attempts_max: u32,
    /// Pause before the second attempt; it doubles with each, up to `backoff_max`, and is drawn between half and
    /// the whole of that. Default 1 ms.
    pub backoff: Duration,
    /// Default 100 ms.
    pub backoff_max: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            deadline: Duration::from_secs(10),
            attempts_max: 64,
            backoff: Duration::from_millis(1),
            backoff_max: Duration::from_millis(100),
        }
    }
}

impl Policy {
    /// One attempt, no retry.
    pub fn once(deadline: Duration) -> Policy {
        Policy { deadline, attempts_max: 1, ..Policy::default() }
    }

    fn pause(&self, attempt: u32, draw: u64) -> Duration {
        let whole = self.backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.backoff_max);
        let half = whole / 2;
        half + Duration::from_nanos(draw % (half.as_nanos() as u64).max(1))
    }
}

/// A client of one cluster. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    links: Arc<[Arc<Link>]>,
    policy: Policy,
    /// The node that is asked first.
    first: Arc<AtomicUsize>,
    draws: Arc<AtomicU64>,
}

impl Client {
    /// A client of the nodes at these gRPC addresses; it connects when it is first asked something.
    pub fn new(nodes: &[SocketAddr]) -> Client {
        assert!(!nodes.is_empty(), "a client needs at least one node");
        let links = nodes.iter().map(|address| Arc::new(Link::new(*address))).collect();
        Client { links, policy: Policy::default(), first: Arc::default(), draws: Arc::default() }
    }

    /// The same connections with another policy.
    #[must_use]
    pub fn with(&self, policy: Policy) -> Client {
        Client { policy, ..self.clone() }
    }

    /// The same connections, asking first the node at this place, with a preference of its own.
    #[must_use]
    pub fn preferring(&self, node: usize) -> Client {
        Client { first: Arc::new(AtomicUsize::new(node % self.links.len())), ..self.clone() }
    }

    /// Runs a whole transaction. Attempts that were refused or could not be made are repeated by the policy.
    pub async fn transact(&self, script: &Script) -> Result<Done, Error> {
        let deadline = Instant::now() + self.policy.deadline;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let at = self.first.load(Ordering::Relaxed) % self.links.len();
            let error = match once(&self.links[at], script, deadline).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if error.elsewhere() {
                let next = (at + 1) % self.links.len();
                let _ = self.first.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            if !error.retry() || attempt >= self.policy.attempts_max {
                return Err(error);
            }
            let draw = mix(self.draws.fetch_add(1, Ordering::Relaxed) ^ u64::from(std::process::id()) << 32);
            let pause = self.policy.pause(attempt, draw);
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// A session on the node that is preferred: for SQL text and for transactions that take several calls.
    pub async fn session(&self) -> Result<Session, Error> {
        let deadline = Instant::now() + self.policy.deadline;
        let link = self.links[self.first.load(Ordering::Relaxed) % self.links.len()].clone();
        match link.own_seat(deadline).await {
            Ok(seat) => Ok(Session { link, seat, deadline: self.policy.deadline }),
            Err(Failure::NotSent(why) | Failure::NotAnswered(why)) => Err(Error::Unreachable { why }),
        }
    }
}

/// SplitMix64's finaliser: spreads a counter.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn once(link: &Link, script: &Script, deadline: Instant) -> Result<Done, Error> {
    let unreachable = |why| Error::Unreachable { why };
    let seat = match link.seat(deadline).await {
        Ok(seat) => seat,
        Err(Failure::NotSent(why) | Failure::NotAnswered(why)) => return Err(unreachable(why)),
    };
    match link.ask(&seat, Kind::Script(script.wire()), deadline).await {
        Ok(reply) => {
            let result = link::settle(reply);
            // After an unknown outcome the node closes the session.
            if !matches!(result, Err(Error::Unknown { .. })) {
                seat.leave();
            }
            result
        }
        Err(Failure::NotSent(why)) => Err(unreachable(why)),
        Err(Failure::NotAnswered(why)) if script.writes() => Err(Error::Unknown { why }),
        Err(Failure::NotAnswered(why)) => Err(unreachable(why)),
    }
}

/// One session on one node: what is begun in it stays open until it is committed or rolled back, and is rolled back when
/// the session is dropped.
#[derive(Debug)]
pub struct Session {
    link: Arc<Link>,
    seat: Seat,
    deadline: Duration,
}

impl Session {
    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.link.address()
    }

    /// Whether its connection has ended; with it the session and what was open in it.
    pub fn gone(&self) -> bool {
        self.seat.gone()
    }

    pub async fn begin(&mut self, isolation: Isolation) -> Result<Done, Error> {
        let isolation = wire::Isolation::from(isolation).into();
        self.ask(Kind::Begin(wire::Begin { isolation }), false).await
    }

    /// Runs the steps in the open transaction, or as one of their own.
    pub async fn run(&mut self, script: &Script) -> Result<Done, Error> {
        self.ask(Kind::Run(wire::Run { steps: script.steps.clone() }), script.writes()).await
    }

    pub async fn commit(&mut self) -> Result<Done, Error> {
        self.ask(Kind::Commit(wire::Commit {}), true).await
    }

    pub async fn rollback(&mut self) -> Result<Done, Error> {
        self.ask(Kind::Rollback(wire::Rollback {}), false).await
    }

    /// SQL text. Whether it writes is not known here, so a lost answer is an unknown outcome.
    pub async fn sql(&mut self, text: &str) -> Result<Done, Error> {
        self.ask(Kind::Sql(text.to_owned()), true).await
    }

    async fn ask(&mut self, kind: Kind, writes: bool) -> Result<Done, Error> {
        let deadline = Instant::now() + self.deadline;
        match self.link.ask(&self.seat, kind, deadline).await {
            Ok(reply) => link::settle(reply),
            Err(Failure::NotAnswered(why)) if writes => Err(Error::Unknown { why }),
            Err(Failure::NotSent(why) | Failure::NotAnswered(why)) => Err(Error::Unreachable { why }),
        }
    }
}

#[cfg(test)]
mod tests;

//! Functions that ask the cluster and not the session: named locks, and waiting for a position.
//!
//! Intuition: the plan of the statement around one is made twice. The first time finds out what is asked; when the
//! answer is there, the second finds it as a constant.
//! So one of them may stand anywhere in a SELECT without tables (or in a DO), and nowhere else.

use super::compile::unsupported;
use super::datum::Datum;
use super::expr::{Checks, Expr, Row};
use super::select::{Place, Select};
use super::tree::SelectTree;
use super::vars::Vars;
use crate::error::Error;
use crate::named::{Ask, NAME_CHARS_MAX, WAIT_MAX};
use crate::request::{Done, StepResult};
use crate::session::Context;
use plait_base::{BootEpoch, ProposalId, Seqno, Slot};
use std::cell::RefCell;
use std::time::Duration;

/// What becomes of such a function in the statement that is planned.
#[derive(Debug)]
pub enum Asks {
    Refused,
    /// Noted.
    Gathered(RefCell<Vec<Ask>>),
    /// Known: NULL or an integer.
    Answered(Option<i64>),
}

impl Asks {
    pub fn gather() -> Asks {
        Asks::Gathered(RefCell::default())
    }

    /// What was gathered; from here on none may be asked for.
    pub fn gathered(&mut self) -> Result<Option<Ask>, Error> {
        let Asks::Gathered(asks) = std::mem::replace(self, Asks::Refused) else { return Ok(None) };
        let mut asks = asks.into_inner();
        if asks.len() > 1 {
            return unsupported("several functions in one statement that take locks or wait");
        }
        Ok(asks.pop())
    }
}

/// The statement around such a function.
pub(crate) struct Asking {
    tree: SelectTree,
    /// It is a DO, whose values nobody sees.
    only_done: bool,
}

impl Asking {
    pub fn new(tree: SelectTree, only_done: bool) -> Asking {
        Asking { tree, only_done }
    }

    /// The result of the statement, now that the function's is known.
    pub fn answer(
        &self,
        answer: Option<i64>,
        vars: &mut Vars,
        ctx: &Context<'_>,
    ) -> Result<StepResult, Error> {
        vars.asks = Asks::Answered(answer);
        let place = Place { vars, ctx, tables: None, list: None, outer: None };
        let planned = Select::new(&self.tree, place);
        vars.asks = Asks::Refused;
        let result = planned?.answer(vars)?;
        if self.only_done {
            vars.row_count = 0;
            return Ok(StepResult::Done(Done::default()));
        }
        Ok(result)
    }
}

/// Name, and how many arguments at least and at most.
pub const NAMES: [(&str, (usize, usize)); 6] = [
    ("GET_LOCK", (2, 2)),
    ("RELEASE_LOCK", (1, 1)),
    ("RELEASE_ALL_LOCKS", (0, 0)),
    ("IS_FREE_LOCK", (1, 1)),
    ("IS_USED_LOCK", (1, 1)),
    ("WSREP_SYNC_WAIT_UPTO_GTID", (1, 2)),
];

/// The value of a call, if it is one of these or of the functions that say where the order is; a stand-in for it as
/// long as the question is not put.
pub fn function(
    vars: &Vars,
    ctx: &Context<'_>,
    name: &str,
    args: &[Expr],
) -> Result<Option<Datum<'static>>, Error> {
    if args.is_empty() {
        let at = match name {
            "WSREP_LAST_SEEN_GTID" => Some(ctx.applied),
            "WSREP_LAST_WRITTEN_GTID" => vars.last_written,
            _ => None,
        };
        if let Some(at) = at {
            return Ok(Some(Datum::text(format!("{}:{at}", ctx.cluster))));
        }
        if name == "WSREP_LAST_WRITTEN_GTID" {
            // Galera's own way of saying *none*.
            return Ok(Some(Datum::text("00000000-0000-0000-0000-000000000000:-1")));
        }
    }
    let value = |at: usize| -> Result<Datum<'static>, Error> {
        Ok(args[at].eval(Row::EMPTY, &Checks::strict())?.into_owned())
    };
    if name == "WSREP_TRX_STATUS" && args.len() == 1 {
        let id = value(0)?.to_text().as_deref().and_then(proposal);
        let Some(id) = id else { return Err(wrong_arguments(name)) };
        return Ok(Some(Datum::text(match (ctx.verdict)(id) {
            Some(true) => "committed",
            Some(false) => "rolled back",
            None => "unknown",
        })));
    }
    let Some((_, (least, most))) = NAMES.iter().find(|(known, _)| *known == name) else { return Ok(None) };
    if args.len() < *least || args.len() > *most {
        let name = name.to_ascii_lowercase();
        let message = format!("Incorrect parameter count in the call to native function '{name}'");
        return Err(Error::Sql { code: 1582, state: "42000", message });
    }
    match &vars.asks {
        Asks::Refused => return unsupported(format!("{name} in a statement on tables")),
        Asks::Answered(answer) => return Ok(Some(answer.map_or(Datum::Null, Datum::Int))),
        Asks::Gathered(_) => {}
    }
    let ask = match name {
        "RELEASE_ALL_LOCKS" => Ask::ReleaseAll,
        "WSREP_SYNC_WAIT_UPTO_GTID" => {
            let seqno = value(0)?.to_text().as_deref().map(|gtid| position(gtid, ctx)).transpose()?;
            let Some(seqno) = seqno else { return Err(wrong_arguments(name)) };
            let wait = if args.len() > 1 { seconds(&value(1)?)? } else { WAIT_MAX };
            Ask::Upto { seqno, wait }
        }
        _ => {
            let given = value(0)?.to_text().map(|text| text.to_lowercase()).unwrap_or_default();
            if given.is_empty() || given.chars().count() > NAME_CHARS_MAX {
                let message = format!("Incorrect user-level lock name '{given}'.");
                return Err(Error::Sql { code: 3057, state: "42000", message });
            }
            match name {
                "GET_LOCK" => Ask::Get { name: given, wait: seconds(&value(1)?)? },
                "RELEASE_LOCK" => Ask::Release { name: given },
                "IS_FREE_LOCK" => Ask::IsFree { name: given },
                _ => Ask::IsUsed { name: given },
            }
        }
    };
    if let Asks::Gathered(asks) = &vars.asks {
        asks.borrow_mut().push(ask);
    }
    Ok(Some(Datum::Null))
}

/// A time-out as MySQL takes it: in seconds, a negative one without end, NULL none at all.
fn seconds(value: &Datum) -> Result<Duration, Error> {
    let seconds = value.to_number().map_or(0.0, |(number, _)| number.to_f64());
    if seconds < 0.0 {
        return Ok(WAIT_MAX);
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX).min(WAIT_MAX))
}

fn wrong_arguments(name: &str) -> Error {
    Error::Sql { code: 1210, state: "HY000", message: format!("Incorrect arguments to {name}") }
}

/// The position that a GTID names: `cluster:seqno`.
fn position(gtid: &str, ctx: &Context<'_>) -> Result<Seqno, Error> {
    if gtid.contains(',') {
        return Err(wrong_arguments("WSREP_SYNC_WAIT_UPTO_GTID, one GTID is wanted"));
    }
    let malformed = || Error::Sql {
        code: 1941,
        state: "HY000",
        message: format!("Could not set a GTID of '{gtid}': one looks like {}:17", ctx.cluster),
    };
    let (cluster, seqno) = gtid.trim().rsplit_once(':').ok_or_else(malformed)?;
    let seqno: i64 = seqno.parse().map_err(|_| malformed())?;
    // What was never written has come about.
    if seqno < 0 {
        return Ok(Seqno::ZERO);
    }
    if cluster.to_ascii_lowercase() != ctx.cluster.to_string() {
        return Err(malformed());
    }
    Ok(Seqno(seqno as u64))
}

/// A proposal by the name that error 1180 gave it: slot, start, counter.
fn proposal(name: &str) -> Option<ProposalId> {
    let mut parts = name.trim().split('-');
    let slot = Slot::new(parts.next()?.parse().ok()?)?;
    let epoch = BootEpoch(u64::from_str_radix(parts.next()?, 16).ok()?);
    let counter = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(ProposalId { slot, epoch, counter })
}

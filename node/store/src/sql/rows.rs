//! Where the rows of a statement come from: the spans of a table, walked in slices.

use super::access::{Access, Span};
use super::convert::size_of;
use crate::error::Error;
use crate::session::Env;
use crate::steps::RESULT_BYTES_MAX;
use crate::table::TableInfo;
use crate::txn::{Scan, Walk};
use crate::value::Value;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A walk over spans, kept between two slices of work.
#[derive(Debug, Clone)]
pub struct Source {
    info: Arc<TableInfo>,
    /// Through this secondary key; `None`: by the primary one.
    index: Option<usize>,
    spans: VecDeque<Span>,
    scan: Option<Scan>,
    /// As `FOR UPDATE`: what is read is certified.
    lock: bool,
}

impl Source {
    pub fn new(info: Arc<TableInfo>, access: Access, lock: bool) -> Source {
        Source { info, index: access.index, spans: access.spans.into(), scan: None, lock }
    }

    /// Shows rows, in the order of the key that they are looked for by, until `each` has had enough, the budget is spent, or there are no more. An error of
    /// `each` ends the walk.
    #[allow(clippy::type_complexity)]
    pub fn walk(
        &mut self,
        env: &mut Env<'_>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Error>,
    ) -> Result<Walk, Error> {
        while let Some(span) = self.spans.front() {
            if *env.budget == 0 {
                return Ok(Walk::Yield);
            }
            match span {
                Span::Point(key) => {
                    *env.budget -= 1;
                    let row = env.txn.look(env.store, &self.info, key, self.lock)?;
                    if let Some(row) = row
                        && each(key, row)?.is_break()
                    {
                        self.spans.pop_front();
                        return Ok(Walk::Stopped);
                    }
                }
                Span::Range(from, to) => {
                    let scan = self.scan.get_or_insert_with(|| {
                        let (info, from, to) = (Arc::clone(&self.info), from.clone(), to.clone());
                        match self.index {
                            None => Scan::new(info, from, to, self.lock),
                            Some(index) => Scan::through(info, index, from, to, self.lock),
                        }
                    });
                    let mut failed = None;
                    let walk =
                        env.txn.walk(env.store, scan, env.budget, &mut |key, row| match each(key, row) {
                            Ok(flow) => flow,
                            Err(error) => {
                                failed = Some(error);
                                ControlFlow::Break(())
                            }
                        })?;
                    if let Some(error) = failed {
                        return Err(error);
                    }
                    if walk != Walk::End {
                        return Ok(walk);
                    }
                    self.scan = None;
                }
            }
            self.spans.pop_front();
        }
        Ok(Walk::End)
    }
}

/// Counts the bytes that a statement keeps, and refuses more than a result may have.
#[derive(Debug, Default, Clone)]
pub struct Kept(u64);

impl Kept {
    pub fn row(&mut self, row: &[Value]) -> Result<(), Error> {
        self.bytes(row.iter().map(size_of).sum::<u64>() + 24)
    }

    /// A row that is kept as the bytes of its cells.
    pub fn packed(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes(bytes as u64 + 24)
    }

    /// Such a row is kept no more.
    pub fn gone(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes as u64 + 24);
    }

    pub fn bytes(&mut self, bytes: u64) -> Result<(), Error> {
        self.0 += bytes;
        if self.0 > RESULT_BYTES_MAX {
            return Err(Error::TooLarge { what: "a result, in bytes,", got: self.0, max: RESULT_BYTES_MAX });
        }
        Ok(())
    }
}

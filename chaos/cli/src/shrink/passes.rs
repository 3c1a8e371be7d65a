//! The steps of shrinking, in their order. Each tries plans that are smaller in one way.

use super::ddmin::ddmin;
use super::{Halt, Shrinker};
use plait_world::plan::{FaultKind, LimitsPlan, OpPlan, Plan};
use plait_world::run::run_listing;
use std::collections::BTreeSet;

/// Times are rounded to this.
const ROUND_MS: u64 = 10;
/// Between two things that happen no more than this is kept, where it does not matter.
const GAP_MS: u64 = 100;

type Step = Result<(), Halt>;

impl Shrinker {
    pub(super) fn all(&mut self) -> Step {
        self.kinds()?;
        self.faults()?;
        self.span()?;
        self.loads()?;
        loop {
            let before = self.plan.clone();
            self.list_ops()?;
            self.clients()?;
            self.ops()?;
            self.loads()?;
            self.kinds()?;
            self.faults()?;
            self.span()?;
            self.gaps()?;
            self.plain()?;
            self.keys()?;
            self.windows()?;
            self.round()?;
            if self.plan == before {
                return Ok(());
            }
        }
    }

    /// Tries one change.
    fn with(&mut self, change: impl FnOnce(&mut Plan)) -> Result<bool, Halt> {
        let mut next = self.plan.clone();
        change(&mut next);
        if next == self.plan { Ok(false) } else { self.keeps(&next) }
    }

    /// Whole kinds of fault.
    fn kinds(&mut self) -> Step {
        let kinds: BTreeSet<usize> = self.plan.faults.iter().map(|fault| fault.kind.at()).collect();
        for kind in kinds {
            self.with(|plan| plan.faults.retain(|fault| fault.kind.at() != kind))?;
        }
        Ok(())
    }

    fn faults(&mut self) -> Step {
        let faults = self.plan.faults.clone();
        ddmin(&faults, |part| {
            if part.len() == self.plan.faults.len() {
                return Ok(true);
            }
            self.with(|plan| plan.faults = part.to_vec())
        })
        .map(drop)
    }

    /// A violation that comes when the work is over: less work may do.
    fn span(&mut self) -> Step {
        let mut step_ms = self.plan.span_ms / 2;
        while step_ms > GAP_MS {
            let until_ms = self.plan.span_ms.saturating_sub(step_ms);
            let kept = self.at_ns / 1_000_000 + 1 > self.plan.span_ms
                && self.with(|plan| {
                    plan.span_ms = until_ms;
                    plan.faults.retain(|fault| fault.at_ms < until_ms);
                    if let Some(ops) = &mut plan.ops {
                        ops.retain(|op| op.at_ns < until_ms * 1_000_000);
                    }
                })?;
            if !kept {
                step_ms /= 2;
            }
        }
        Ok(())
    }

    /// Whole workloads. The audit stays, for its table is everybody's ledger; it may be without clients.
    fn loads(&mut self) -> Step {
        let kinds: Vec<String> = self.plan.loads.iter().map(|load| load.kind.clone()).collect();
        for kind in kinds {
            let audit = kind == "audit";
            self.with(|plan| {
                if let Some(ops) = &mut plan.ops {
                    ops.retain(|op| op.load != kind);
                }
                match audit {
                    true => plan.loads.iter_mut().filter(|l| l.kind == kind).for_each(|l| l.clients = 0),
                    false => plan.loads.retain(|l| l.kind != kind),
                }
            })?;
        }
        Ok(())
    }

    /// From here on each transaction stands by itself.
    fn list_ops(&mut self) -> Step {
        if self.plan.ops.is_some() {
            return Ok(());
        }
        let made = run_listing(&self.plan)?.ops;
        self.with(|plan| plan.ops = Some(made)).map(drop)
    }

    /// All that a client does.
    fn clients(&mut self) -> Step {
        let Some(ops) = &self.plan.ops else { return self.unlisted_clients() };
        let clients: BTreeSet<(String, u32)> = ops.iter().map(|op| (op.load.clone(), op.client)).collect();
        let clients: Vec<_> = clients.into_iter().collect();
        ddmin(&clients, |part| {
            if part.len() == clients.len() {
                return Ok(true);
            }
            self.with(|plan| {
                let mine = |op: &OpPlan| part.iter().any(|(load, n)| op.load == *load && op.client == *n);
                plan.ops.iter_mut().for_each(|ops| ops.retain(mine));
            })
        })
        .map(drop)
    }

    fn unlisted_clients(&mut self) -> Step {
        for load in 0..self.plan.loads.len() {
            while self.plan.loads[load].clients > 1 && self.with(|plan| plan.loads[load].clients /= 2)? {}
        }
        Ok(())
    }

    fn ops(&mut self) -> Step {
        let Some(ops) = self.plan.ops.clone() else { return Ok(()) };
        ddmin(&ops, |part| {
            if self.plan.ops.as_ref().is_some_and(|ops| ops.len() == part.len()) {
                return Ok(true);
            }
            self.with(|plan| plan.ops = Some(part.to_vec()))
        })?;
        self.with(|plan| {
            for load in &mut plan.loads {
                let mine = plan.ops.iter().flatten().filter(|op| op.load == load.kind);
                load.clients = mine.map(|op| op.client + 1).max().unwrap_or(0);
            }
            plan.loads.retain(|load| load.clients > 0 || load.kind == "audit");
        })
        .map(drop)
    }

    /// Times in which nothing begins.
    fn gaps(&mut self) -> Step {
        if self.plan.ops.is_none() {
            return Ok(());
        }
        let mut from_ms = 0;
        loop {
            let mut times: Vec<u64> = self.plan.faults.iter().flat_map(|f| [f.at_ms, f.until_ms]).collect();
            times.extend(self.plan.ops.iter().flatten().map(|op| op.at_ns / 1_000_000));
            times.push(self.plan.span_ms);
            times.retain(|ms| *ms > from_ms);
            let Some(next_ms) = times.into_iter().min() else { return Ok(()) };
            let gap_ms = next_ms - from_ms;
            let mut cut_ms = gap_ms.saturating_sub(GAP_MS) / ROUND_MS * ROUND_MS;
            while cut_ms >= ROUND_MS {
                if self.with(|plan| earlier(plan, next_ms, cut_ms))? {
                    break;
                }
                cut_ms = cut_ms / 2 / ROUND_MS * ROUND_MS;
            }
            from_ms = next_ms.saturating_sub(cut_ms).max(from_ms + 1);
        }
    }

    /// Bounds, clocks and delays as they come.
    fn plain(&mut self) -> Step {
        self.with(|plan| plan.index_reads.clear())?;
        for slot in 0..3 {
            self.with(|plan| {
                let clock = &mut plan.clocks[slot];
                (clock.mono_ms, clock.rate_ppm, clock.wall_us) = (1000, 0, 0);
            })?;
        }
        self.with(|plan| {
            plan.net.jitter_us = 0;
            plan.disk.sync_jitter_us = 0;
        })?;
        self.with(|plan| {
            (plan.net.delay_us, plan.net.ns_per_byte) = (100, 1);
            (plan.net.client_delay_us, plan.net.connect_us) = (50, 1000);
        })?;
        self.with(|plan| (plan.disk.sync_us, plan.disk.kv_us) = (300, 300))?;
        self.with(|plan| plan.step_us = 15)?;
        self.with(|plan| plan.proof_per_mille = 0)?;
        self.limits()
    }

    fn limits(&mut self) -> Step {
        let plain = LimitsPlan::plain();
        if self.with(|plan| plan.limits = plain.clone())? {
            return Ok(());
        }
        self.with(|plan| plan.limits.lease_ms = plain.lease_ms)?;
        self.with(|plan| plan.limits.lease_lag_max = plain.lease_lag_max)?;
        self.with(|plan| plan.limits.commit_timeout_ms = plain.commit_timeout_ms)?;
        self.with(|plan| plan.limits.stable_timeout_ms = plain.stable_timeout_ms)?;
        self.with(|plan| plan.limits.entry_bytes_max = plain.entry_bytes_max)?;
        self.with(|plan| plan.limits.checkpoint_log_bytes = plain.checkpoint_log_bytes)?;
        self.with(|plan| plan.limits.segment_bytes = plain.segment_bytes)?;
        self.with(|plan| plan.limits.chunk_bytes = plain.chunk_bytes)?;
        self.with(|plan| plan.limits.step_work_max = plain.step_work_max)?;
        self.with(|plan| plan.limits.id_block = plain.id_block)?;
        self.with(|plan| plan.limits.tombstone_seqnos_max = plain.tombstone_seqnos_max)?;
        self.with(|plan| plan.limits.lock_timeout_ms = plain.lock_timeout_ms)?;
        Ok(())
    }

    fn keys(&mut self) -> Step {
        for load in 0..self.plan.loads.len() {
            let keys = self.plan.loads[load].keys;
            for fewer in [1, 2, keys / 2] {
                if (1..keys).contains(&fewer) && self.with(|plan| plan.loads[load].keys = fewer)? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn windows(&mut self) -> Step {
        for fault in 0..self.plan.faults.len() {
            let Some(now) = self.plan.faults.get(fault).cloned() else { return Ok(()) };
            let long_ms = now.until_ms - now.at_ms;
            for shorter in [ROUND_MS, 5 * ROUND_MS, long_ms / 4, long_ms / 2] {
                if (ROUND_MS..long_ms).contains(&shorter)
                    && self.with(|plan| plan.faults[fault].until_ms = now.at_ms + shorter)?
                {
                    break;
                }
            }
            if let Some(FaultKind::CrashOn { nth: 2.., .. }) = self.plan.faults.get(fault).map(|f| &f.kind) {
                self.with(|plan| {
                    if let FaultKind::CrashOn { nth, .. } = &mut plan.faults[fault].kind {
                        *nth = 1;
                    }
                })?;
            }
        }
        Ok(())
    }

    fn round(&mut self) -> Step {
        let up = |ms: u64| ms.div_ceil(ROUND_MS) * ROUND_MS;
        for fault in 0..self.plan.faults.len() {
            if fault < self.plan.faults.len() {
                self.with(|plan| {
                    let fault = &mut plan.faults[fault];
                    fault.at_ms = fault.at_ms / ROUND_MS * ROUND_MS;
                    fault.until_ms = up(fault.until_ms);
                })?;
            }
        }
        let ops = self.plan.ops.as_ref().map_or(0, Vec::len);
        let many = ops > 64;
        if many {
            return Ok(());
        }
        for op in 0..ops {
            if self.plan.ops.as_ref().is_some_and(|ops| op < ops.len()) {
                for to_ns in [ROUND_MS * 1_000_000, 1_000_000] {
                    let rounded = self.with(|plan| {
                        let at_ns =
                            &mut plan.ops.as_mut().expect("it was looked at").as_mut_slice()[op].at_ns;
                        *at_ns = *at_ns / to_ns * to_ns;
                    })?;
                    if rounded {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Everything from `from_ms` on comes earlier.
fn earlier(plan: &mut Plan, from_ms: u64, by_ms: u64) {
    let shift = |ms: &mut u64, from: u64, by: u64| {
        if *ms >= from {
            *ms -= by;
        }
    };
    for fault in &mut plan.faults {
        shift(&mut fault.at_ms, from_ms, by_ms);
        shift(&mut fault.until_ms, from_ms, by_ms);
    }
    for op in plan.ops.iter_mut().flatten() {
        shift(&mut op.at_ns, from_ms * 1_000_000, by_ms * 1_000_000);
    }
    shift(&mut plan.span_ms, from_ms, by_ms);
}

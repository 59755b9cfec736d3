//! How long a process may pass the lock on among its own requests before other processes get a chance.

use std::time::{Duration, Instant};

/// How many requests a process may grant in a row.
pub(crate) const HANDOFF_GRANTS: u32 = 64;
/// How long a process may go on granting requests in a row.
pub(crate) const HANDOFF_TIME: Duration = Duration::from_millis(5);
/// The longest time for draining: new shared requests wait until the shared holds have been released, once so many have
/// joined them that other processes are due a chance. It is limited, since a holder that stays would lock out its own
/// process.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The budget of one process for one lock.
pub(super) struct Fairness {
    grants_left: u32,
    ends: Option<Instant>,
    /// How many requests may join the shared holds before those are drained. Doubled if they are not released in time.
    joins: u32,
    /// New shared requests wait until the shared holds have been released.
    draining: bool,
    /// The number of the last drain.
    drains: u64,
}

impl Fairness {
    /// Returns a budget that is spent, until the kernel grants the lock.
    pub(super) fn new() -> Self {
        Self { grants_left: 0, ends: None, joins: HANDOFF_GRANTS, draining: false, drains: 0 }
    }

    /// Begins a new budget: the kernel has granted the lock.
    pub(super) fn begin(&mut self, now: Instant) {
        self.grants_left = HANDOFF_GRANTS;
        self.ends = now.checked_add(HANDOFF_TIME);
        self.joins = HANDOFF_GRANTS;
        self.draining = false;
    }

    /// Counts a grant.
    pub(super) fn count_grant(&mut self) {
        self.grants_left = self.grants_left.saturating_sub(1);
    }

    /// Returns true if other processes are due a chance. The clock is read only if that matters: it takes a while.
    pub(super) fn is_spent(&self, now: impl Fn() -> Instant) -> bool {
        let begun = self.grants_left < HANDOFF_GRANTS;
        self.has_no_grants() || (begun && self.ends.is_some_and(|end| now() >= end))
    }

    /// Returns true if no more requests may be granted in a row.
    pub(super) fn has_no_grants(&self) -> bool {
        self.grants_left == 0
    }

    /// Returns true if new shared requests wait until the shared holds have been released.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Starts draining. Returns the number of this drain, or `None` if the holds are being drained already: the limit of a
    /// drain is not put off by those who come later.
    pub(super) fn begin_drain(&mut self) -> Option<u64> {
        if std::mem::replace(&mut self.draining, true) {
            return None;
        }
        self.drains += 1;
        Some(self.drains)
    }

    /// Ends draining: all holds have been released. Returns true if they were being drained.
    pub(super) fn finish_drain(&mut self) -> bool {
        std::mem::take(&mut self.draining)
    }

    /// Gives this drain up, since the shared holds were not released in time, and lets twice as many requests join them.
    /// Returns false if the drain was over before.
    pub(super) fn give_up_drain(&mut self, drain: u64) -> bool {
        let under_way = self.draining && self.drains == drain;
        if under_way {
            self.draining = false;
            self.joins = self.joins.saturating_mul(2);
            self.grants_left = self.joins;
        }
        under_way
    }
}

//! The watchdog: completes requests whose path or file does not answer, as on a dead network mount.

use std::sync::Arc;
use std::time::Duration;

use crate::dispatch::Timer;
use crate::engine::{CANCEL_GRACE, Engine};
use crate::exec::thread;
use crate::lock::{CancelReason, Request};

/// Grace period of a request that does not wait, where its path may be on a network: a slow server is not a dead one.
pub(crate) const SERVER_GRACE: Duration = Duration::from_secs(5);
/// Time between two checks whether a path answers.
const CHECK_AGAIN: Duration = Duration::from_millis(10);
/// How many checks in a row must find no answer before the request is cancelled.
const CHECKS: u32 = 2;
/// The same for a request whose file no worker has begun to find.
const CHECKS_UNBEGUN: u32 = 20;
/// The same where it waits for the driver, which may be asleep in one short call after another.
const CHECKS_QUEUED: u32 = 10;

/// What the last check whether a path answers has found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastCheck {
    /// How many checks in a row have found no answer.
    unanswered: u32,
    /// How many jobs the workers had begun by then.
    begun: u64,
}

impl Engine {
    /// Cancels `request`, whose time is over, if its path or file does not answer. Called [`CANCEL_GRACE`] after that time;
    /// checks again until it is clear.
    ///
    /// A busy machine may be as slow as a dead mount. So what counts is that a thread is asleep in a system call, and
    /// several checks in a row must agree. A job that no worker has begun is only late, unless workers are stuck.
    pub(crate) fn check_answer(self: &Arc<Self>, request: Arc<Request>, last: LastCheck) {
        let entry = request.queued_at();
        if request.is_completed() || (entry.is_some() && request.blocking) {
            // A request that waits in a queue is completed there, also at its deadline.
            return;
        }
        let begun = self.pool.begun();
        let opener = request.opener();
        let thread = match &entry {
            Some(entry) => entry.driver(),
            None => {
                opener.filter(|opener| opener.since.elapsed() >= CANCEL_GRACE).map(|opener| opener.thread)
            }
        };
        let (is_stuck, needed) = match thread {
            Some(thread) => (thread::is_asleep(thread), if entry.is_some() { CHECKS_QUEUED } else { CHECKS }),
            None if opener.is_some() && entry.is_none() => (false, CHECKS),
            None if self.pool.is_exhausted() => (true, CHECKS),
            None => (self.pool.has_stuck() || begun == last.begun, CHECKS_UNBEGUN),
        };
        let mut unanswered = if is_stuck { last.unanswered + 1 } else { 0 };
        let mut pause = CHECK_AGAIN;
        if unanswered >= needed {
            // A wait has a deadline of its own. A try gives a server more time than a disk, unless it writes to that.
            let age = request.age();
            let writes = !request.handle.options.protocol.protocol.is_kept_by_kernel();
            let may_be_slow = !request.blocking
                && age < SERVER_GRACE
                && (writes || !self.system.is_on_local_mount(&request.handle.path));
            if !may_be_slow {
                return self.cancel(&request, CancelReason::Unanswered);
            }
            // One more check at the end of that time decides.
            unanswered -= 1;
            pause = SERVER_GRACE.saturating_sub(age);
        }
        self.after(pause, Timer::CheckAnswer(request, LastCheck { unanswered, begun }));
    }
}

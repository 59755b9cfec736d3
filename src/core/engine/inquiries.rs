//! Inquiries: who holds the lock of a file? Made by users, and where a wait has timed out.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::opening::Job;
use super::timers::Timer;
use super::{ENGINE, GIVE_UP};
use crate::core::handle::Handle;
use crate::core::kernel::SystemError;
use crate::core::request::{Outcome, Reply};
use crate::core::sys::{LockedFile, Proc};

/// How often it is looked whether an inquiry is stuck, before it is given up for whatever reason.
const LOOKS: u32 = 10;

static INQUIRIES: Mutex<Inquiries> = Mutex::new(Inquiries { asked: BTreeMap::new(), found: Vec::new() });

/// A question, and who is told the answer.
pub struct Inquiry {
    handle: Arc<Handle>,
    reply: Arc<dyn Reply>,
    token: u64,
    /// Somebody is about to find the file.
    looking: AtomicBool,
    answered: AtomicBool,
}

/// Those that ask for the same path.
type Group = Vec<Arc<Inquiry>>;

/// Inquiries that are under way. Many may be made at once, when many waits time out together: each path is looked at
/// once, and the kernel's table is read once for all of them.
struct Inquiries {
    asked: BTreeMap<PathBuf, Group>,
    /// Their files have been found: now the table can be read.
    found: Vec<(Group, LockedFile)>,
}

/// Asks the system who holds the lock of the file at the path of `handle`. The answer, an [`Outcome::Holders`] or
/// [`Outcome::Failed`], comes by `reply`.
///
/// `limited`: whoever asks would rather not know than wait for a path that does not answer (on a dead network mount).
pub fn inquire(handle: Arc<Handle>, reply: Arc<dyn Reply>, token: u64, limited: bool) {
    let (looking, answered) = (AtomicBool::new(false), AtomicBool::new(false));
    let inquiry = Arc::new(Inquiry { handle, reply, token, looking, answered });
    if limited {
        ENGINE.after(GIVE_UP, Timer::Stuck(Arc::downgrade(&inquiry), LOOKS));
    }
    inquiries().asked.entry(inquiry.handle.path.clone()).or_default().push(inquiry);
    // A job for each: should a worker be stuck with one of them, there is another job for the rest.
    ENGINE.submit(Job::Inquire);
}

/// Answers all inquiries that are under way.
pub(super) fn answer() {
    while let Some((path, group)) = {
        let mut inquiries = inquiries();
        inquiries.asked.pop_first()
    } {
        group.iter().for_each(|inquiry| inquiry.looking.store(true, Ordering::Relaxed));
        let file = LockedFile::at(&path);
        group.iter().for_each(|inquiry| inquiry.looking.store(false, Ordering::Relaxed));
        match file {
            Ok(Some(file)) => inquiries().found.push((group, file)),
            Ok(None) => group.iter().for_each(|inquiry| inquiry.answer(Outcome::Holders([].into()))),
            Err(error) => {
                let error = SystemError::new(&error, "open");
                group.iter().for_each(|inquiry| inquiry.answer(Outcome::Failed(error)));
            }
        }
    }
    let (found, files): (Vec<_>, Vec<_>) = mem::take(&mut inquiries().found).into_iter().unzip();
    if found.is_empty() {
        return;
    }
    for (group, holders) in found.iter().zip(Proc::of_the_system().holders(&files)) {
        group.iter().for_each(|inquiry| inquiry.answer(Outcome::Holders(holders.clone().into())));
    }
}

/// There is no thread to answer the inquiries that are under way.
pub(super) fn refuse(error: SystemError) {
    let asked = mem::take(&mut inquiries().asked);
    asked.into_values().flatten().for_each(|inquiry| inquiry.answer(Outcome::Failed(error)));
}

fn inquiries() -> MutexGuard<'static, Inquiries> {
    INQUIRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inquiry {
    /// Some time has passed. If the path does not answer, nobody is known to hold the lock.
    pub(super) fn give_up_if_stuck(self: Arc<Self>, looks: u32) {
        if looks == 0 || self.looking.load(Ordering::Relaxed) {
            self.answer(Outcome::Holders([].into()));
        } else {
            ENGINE.after(GIVE_UP, Timer::Stuck(Arc::downgrade(&self), looks - 1));
        }
    }

    /// Gives the answer, unless there is one.
    fn answer(&self, outcome: Outcome) {
        if !self.answered.swap(true, Ordering::Relaxed) {
            self.reply.deliver(self.token, outcome);
        }
    }
}

/// Lost in a panic: nobody waits for ever for an answer that is not coming.
impl Drop for Inquiry {
    fn drop(&mut self) {
        self.answer(Outcome::Panicked);
    }
}

//! Inquiries: who holds the lock of a file, or waits for it? Made by users, and where a wait has timed out.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::opening::Job;
use super::timers::Timer;
use super::{ENGINE, GIVE_UP};
use crate::core::handle::Handle;
use crate::core::holder::{Holder, Party};
use crate::core::kernel::SystemError;
use crate::core::request::{Outcome, Reply};
use crate::core::sys::{LockedFile, Proc};

static INQUIRIES: Mutex<Inquiries> =
    Mutex::new(Inquiries { asked: BTreeMap::new(), found: Vec::new(), reading: false });

/// A question, and who is told the answer.
pub struct Inquiry {
    handle: Arc<Handle>,
    reply: Arc<dyn Reply>,
    token: u64,
    answered: AtomicBool,
}

/// Those that ask the same of the same path.
type Group = Vec<Arc<Inquiry>>;

/// Inquiries that are under way. Many may be made at once, when many waits time out together: each path is looked at
/// once, and the system's tables are read once for all of them.
struct Inquiries {
    asked: BTreeMap<(PathBuf, Party), Group>,
    /// Their files have been found: now the tables can be read.
    found: Vec<(Group, LockedFile)>,
    /// A worker is reading the tables. The next reading is for all that are found in the meantime, by however many
    /// workers. Otherwise each of those would read the tables for a few.
    reading: bool,
}

/// Asks the system which processes are the `party` of the lock of the file at the path of `handle`. The answer, an
/// [`Outcome::Holders`] or [`Outcome::Failed`], comes by `reply`.
///
/// `limited`: the answer comes within [`GIVE_UP`], `None` if it is not known by then: the path does not answer (on a dead
/// network mount), or there is very much to read.
pub fn inquire(handle: Arc<Handle>, party: Party, reply: Arc<dyn Reply>, token: u64, limited: bool) {
    let inquiry = Arc::new(Inquiry { handle, reply, token, answered: AtomicBool::new(false) });
    if limited {
        ENGINE.after(GIVE_UP, Timer::TooLate(Arc::downgrade(&inquiry)));
    }
    inquiries().asked.entry((inquiry.handle.path.clone(), party)).or_default().push(inquiry);
    // A job for each: should a worker be stuck with one of them, there is another job for the rest.
    ENGINE.submit(Job::Inquire);
}

/// Answers all inquiries that are under way.
pub(super) fn answer() {
    let proc = Proc::of_the_system();
    while let Some(((path, party), group)) = {
        let mut inquiries = inquiries();
        inquiries.asked.pop_first()
    } {
        if group.iter().all(|inquiry| inquiry.is_answered()) {
            continue;
        }
        match (proc.file_at(&path), party) {
            (Ok(Some(file)), Party::Holders) => inquiries().found.push((group, file)),
            (Ok(Some(file)), Party::Waiters) => {
                let mut waiters = proc.waiters(&file);
                waiters.iter_mut().for_each(|waiters| proc.add_commands(slice::from_mut(waiters)));
                tell(&group, waiters);
            }
            (Ok(None), _) => tell(&group, Some(Vec::new())),
            (Err(error), _) => {
                let error = SystemError::new(&error, "open");
                group.iter().for_each(|inquiry| inquiry.answer(Outcome::Failed(error)));
            }
        }
    }
    let Some((reading, found)) = Reading::begin() else { return };
    let (groups, files): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let mut answers = proc.holders(&files);
    // Not after the commands: it can take for ever to read that of a process that is stuck.
    drop(reading);
    if let Some(answers) = &mut answers {
        proc.add_commands(answers);
    }
    let mut answers = answers.into_iter().flatten();
    for group in groups {
        tell(&group, answers.next());
    }
}

fn tell(group: &Group, answer: Option<Vec<Holder>>) {
    group.iter().for_each(|inquiry| inquiry.answer(Outcome::Holders(answer.clone().map(Vec::into))));
}

/// Refuses the inquiries that are under way, since there is no thread to answer them.
pub(super) fn refuse(error: SystemError) {
    let asked = mem::take(&mut inquiries().asked);
    asked.into_values().flatten().for_each(|inquiry| inquiry.answer(Outcome::Failed(error)));
}

fn inquiries() -> MutexGuard<'static, Inquiries> {
    INQUIRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker reads the tables. Ends when dropped, also if a panic has ended it.
struct Reading;

impl Reading {
    /// Returns what the tables are to be read for. `None`: nothing, or somebody else will do it.
    fn begin() -> Option<(Self, Vec<(Group, LockedFile)>)> {
        let mut inquiries = inquiries();
        inquiries.found.retain(|(group, _)| !group.iter().all(|inquiry| inquiry.is_answered()));
        if inquiries.reading || inquiries.found.is_empty() {
            return None;
        }
        inquiries.reading = true;
        Some((Self, mem::take(&mut inquiries.found)))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut inquiries = inquiries();
        inquiries.reading = false;
        let goes_on = !inquiries.found.is_empty();
        drop(inquiries);
        if goes_on {
            ENGINE.submit(Job::Inquire);
        }
    }
}

impl Inquiry {
    fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Answers that the holders are not known, since the time is over.
    pub(super) fn give_up(&self) {
        self.answer(Outcome::Holders(None));
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

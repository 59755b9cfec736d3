//! What the tests of the engine share: users with a handle, and waits whose outcome comes by a channel.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locket::core::engine;
use locket::core::handle::Handle;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Owner, Purpose, Reply, Request, Wish};

/// Longer than anything here takes: it only bounds how long a failure takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Sends an outcome to whoever waits for it.
pub struct Replies(Mutex<Sender<Outcome>>);

impl Reply for Replies {
    fn deliver(&self, _: u64, outcome: Outcome) {
        // A test that has ended does not listen any more.
        let _ = self.0.lock().unwrap().send(outcome);
    }
}

/// Somebody with one handle.
pub struct User {
    pub handle: Arc<Handle>,
    pub owner: Arc<Owner>,
}

pub struct Wait {
    pub request: Arc<Request>,
    outcome: Receiver<Outcome>,
}

impl User {
    pub fn new(path: &Path) -> Self {
        Self {
            handle: Arc::new(Handle::new(path.to_path_buf(), 0o666, false, false)),
            owner: Arc::new(Owner::on_this_thread()),
        }
    }

    pub fn start(&self, mode: LockMode, purpose: Purpose, timeout: Option<Duration>) -> Wait {
        self.start_telling(mode, purpose, timeout, |replies| replies)
    }

    /// The same; what is told goes by what `through` makes of the way it would take.
    pub fn start_telling<R: Reply + 'static>(
        &self,
        mode: LockMode,
        purpose: Purpose,
        timeout: Option<Duration>,
        through: impl FnOnce(Replies) -> R,
    ) -> Wait {
        let (sender, outcome) = channel();
        let request = engine::start(
            Wish {
                handle: self.handle.clone(),
                mode,
                purpose,
                deadline: timeout.map(|timeout| Instant::now() + timeout),
                blocks_owner: false,
                owner: self.owner.clone(),
                reply: Arc::new(through(Replies(Mutex::new(sender)))),
                token: 0,
            },
            true,
        );
        Wait { request, outcome }
    }

    pub fn acquire(&self) {
        let wait = self.start(LockMode::Exclusive, Purpose::Acquire, None);
        assert!(matches!(wait.outcome(), Outcome::Granted));
    }
}

impl Wait {
    /// The outcome, of which the user is told by this.
    pub fn outcome(&self) -> Outcome {
        let outcome = self.outcome.recv_timeout(PATIENCE).expect("an outcome");
        engine::conclude(&self.request);
        self.request.handle.receive(self.request.token);
        outcome
    }

    pub fn is_pending(&self) -> bool {
        self.outcome.recv_timeout(Duration::from_millis(20)).is_err()
    }
}

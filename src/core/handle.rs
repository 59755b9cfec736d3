//! A handle: one user's way to a lock. Many handles may name one file.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::request::{Request, Ticket};
use super::shared_file::SharedFile;
use super::sync::Mutex;
use super::sys::{Identity, OpenFile};

/// How many acquisitions must have been granted at the first try before the next one may be made on its user's own
/// thread: that is so soon after the release before it that another process, woken by that, would always come too late.
const CALM: u32 = 32;

/// A path with what its user wants done to the lock file, and the acquisition it holds, if any.
pub struct Handle {
    /// Absolute.
    pub path: PathBuf,
    /// Permission bits of a lock file that has to be created, before the umask.
    pub file_mode: u32,
    /// Delete the file on release, while it is still locked exclusively.
    pub remove_on_release: bool,
    /// The path may name a folder, which is locked then (on Unix). Otherwise that is EISDIR.
    pub allow_directory: bool,
    /// Equal for equal paths, and seldom for others.
    pub lane: u64,
    /// The file that was last found at the path.
    last: Mutex<Option<Last>>,
    /// How many acquisitions it has been granted since the kernel last said no to one.
    calm: AtomicU32,
    /// Whether its user has ever asked for a lock by it.
    asked: AtomicBool,
    grant: Mutex<Option<Grant>>,
}

#[derive(Clone, Copy)]
struct Last {
    identity: Identity,
    /// Is it on a file system of this machine?
    local: bool,
}

/// What a handle has been granted.
#[derive(Clone)]
pub struct Grant {
    /// The file.
    pub shared: Arc<SharedFile>,
    /// The request that was granted.
    pub request: Arc<Request>,
    /// Has its user been told? Until then it cannot be released: nobody can mean an acquisition that
    /// nobody knows of.
    pub received: bool,
}

impl Handle {
    /// A handle that holds nothing.
    pub fn new(path: PathBuf, file_mode: u32, remove_on_release: bool, allow_directory: bool) -> Self {
        let lane = BuildHasherDefault::<DefaultHasher>::default().hash_one(&path);
        Self {
            path,
            file_mode,
            remove_on_release,
            allow_directory,
            lane,
            last: Mutex::new(None),
            calm: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            grant: Mutex::new(None),
        }
    }

    /// Does this handle hold the lock, as far as its user knows?
    pub fn held(&self) -> bool {
        self.grant.lock().as_ref().is_some_and(|grant| grant.received)
    }

    /// Returns whether its user has ever asked for a lock by it, successfully or not. Such a handle releases its own
    /// acquisitions alone: a second release, or one after a timeout, must not end somebody else's.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Notes that its user has asked for a lock.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Forgets what this handle holds, if its user knows of it and it is `wanted`: it is to be released now.
    pub(super) fn take_received(&self, wanted: impl FnOnce(&Request) -> bool) -> Option<Grant> {
        self.grant.lock().take_if(|grant| grant.received && wanted(&grant.request))
    }

    /// The local file that was last found at the path, if nobody else seems to want it.
    pub(super) fn calm_local_file(&self) -> Option<Identity> {
        if !self.is_calm() {
            return None;
        }
        (*self.last.lock()).filter(|last| last.local).map(|last| last.identity)
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed) >= CALM
    }

    /// The kernel has said no to an acquisition: others want the file, too.
    pub(super) fn disturb(&self) {
        self.calm.store(0, Ordering::Relaxed);
    }

    /// `file` was found at the path. `local`: it is on a file system of this machine.
    pub(super) fn found(&self, file: &OpenFile, local: bool) {
        if self.is_calm() {
            *self.last.lock() = Some(Last { identity: file.identity(), local });
        }
    }

    /// The file of the acquisition that this handle has, received or not.
    pub fn granted_file(&self) -> Option<Arc<SharedFile>> {
        self.grant.lock().as_ref().map(|grant| grant.shared.clone())
    }

    /// May it be granted an acquisition? It has room for one.
    pub(super) fn is_free(&self) -> bool {
        self.grant.lock().is_none()
    }

    /// Notes the acquisition, unless the handle has one already.
    pub(super) fn grant(&self, shared: &Arc<SharedFile>, request: &Arc<Request>) -> bool {
        let mut grant = self.grant.lock();
        let free = grant.is_none();
        if free {
            self.calm.fetch_add(1, Ordering::Relaxed);
            request.begin_to_hold();
            *grant = Some(Grant { shared: shared.clone(), request: request.clone(), received: false });
        }
        free
    }

    /// Its user is told of the acquisition that was asked for with `token`: from now on it can be released. Returns the
    /// ticket of its request.
    pub fn receive(&self, token: u64) -> Option<Ticket> {
        let mut grant = self.grant.lock();
        let grant = grant.as_mut().filter(|grant| grant.request.token == token)?;
        grant.received = true;
        Some(grant.request.ticket)
    }

    /// Forgets the acquisition that `ticket` asked for.
    pub(super) fn forget(&self, ticket: Ticket) {
        self.grant.lock().take_if(|grant| grant.request.ticket == ticket);
    }
}

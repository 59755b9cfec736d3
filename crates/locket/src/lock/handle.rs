//! A handle: a path by which a client acquires a lock. Many handles may name one file.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{self, Arc, PoisonError};
use std::time::Instant;

use super::entry::LockEntry;
use super::request::{Request, Ticket};
use crate::sync::Mutex;
use crate::sys::{FileId, KernelLock, LockMode, OpenHow, Protocol, ProtocolOptions};

/// What is done with the lock file of a handle.
#[derive(Clone, Copy, Debug)]
pub struct HandleOptions {
    /// The permission bits of a lock file that has to be created, before the umask.
    pub file_mode: u32,
    /// When the file is deleted.
    pub removal: Removal,
    /// Locks a folder, if the path names one (on Unix). Otherwise a folder is EISDIR.
    pub allow_directory: bool,
    /// How the lock is kept.
    pub protocol: ProtocolOptions,
    /// The handle names a semaphore with so many permits.
    pub permits: Option<u32>,
}

/// A part of a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The gate, which requests take in their order. Its file says how many permits there are.
    Gate,
    /// One of the slots. Who holds it has a permit.
    Slot,
}

/// When a lock file is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Never.
    Never,
    /// On release, while it is still locked exclusively.
    OnRelease,
    /// When nobody uses it any more: when this process closes it, and no other holds its lock. It stays where a file that is
    /// deleted while it is locked could be held by two.
    WhenUnused,
}

/// A path, and the hold that was acquired by it, if any.
pub struct Handle {
    /// The absolute path of the lock file.
    pub path: PathBuf,
    pub(crate) options: HandleOptions,
    /// Its lock is a part of a semaphore.
    pub(crate) part: Option<Part>,
    /// Equal for handles that name the same lock in the same way, and seldom for others.
    pub(crate) order_key: u64,
    /// A lock was requested by this handle, whether it was granted or not.
    has_requested: AtomicBool,
    /// The file that its last request has found, unless that was warm. (No order depends on it: it is nothing of loom's.)
    file: sync::Mutex<Option<FileId>>,
    /// The request that holds the lock.
    hold: Mutex<Option<Arc<Request>>>,
    /// What holds the slot, if this names a semaphore and has a permit.
    slot: Mutex<Option<Arc<Handle>>>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handle").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Handle {
    /// Returns a handle that holds nothing.
    pub fn new(path: PathBuf, options: HandleOptions) -> Self {
        Self::new_part(path, options, None)
    }

    /// Returns a handle of a part of a semaphore.
    pub(crate) fn new_part(path: PathBuf, options: HandleOptions, part: Option<Part>) -> Self {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let order_key = match options.protocol.protocol {
            Protocol::Flock => hasher.hash_one(&path),
            _ => hasher.hash_one((&path, &options.protocol)),
        };
        Self {
            path,
            options,
            part,
            order_key,
            has_requested: AtomicBool::new(false),
            file: sync::Mutex::new(None),
            hold: Mutex::new(None),
            slot: Mutex::new(None),
        }
    }

    /// Returns how its lock file is opened, and created if it is missing.
    pub(crate) fn open_how(&self) -> OpenHow {
        let HandleOptions { file_mode, allow_directory, protocol, .. } = self.options;
        OpenHow { create: Some(file_mode), allow_directory, for_writing: false, protocol }
    }

    /// Returns true if a lock in `mode` needs a file that is open for writing.
    pub(crate) fn needs_writing(&self, mode: LockMode) -> bool {
        self.part == Some(Part::Gate) || self.kernel_lock().needs_writing(mode)
    }

    /// Sets what holds the slot: this handle, which names a semaphore, has a permit.
    pub(crate) fn set_slot(&self, slot: Arc<Self>) {
        *self.slot.lock() = Some(slot);
    }

    /// Returns what holds the slot, if this handle names a semaphore and has a permit.
    fn slot(&self) -> Option<Arc<Self>> {
        self.options.permits.and_then(|_| self.slot.lock().clone())
    }

    /// Returns the kernel's lock that keeps its lock, if that is kept by the kernel.
    pub(crate) fn kernel_lock(&self) -> KernelLock {
        KernelLock::of(self.options.protocol.protocol)
    }

    /// Returns true if `other` names the same lock by the same path.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self.order_key == other.order_key
            && self.path == other.path
            && self.options.protocol == other.options.protocol
    }

    /// Returns true if this handle holds the lock, its client has received the hold, and it is not known to be lost.
    pub fn is_held(&self) -> bool {
        if let Some(slot) = self.slot() {
            return slot.is_held();
        }
        let hold = self.hold.lock();
        let hold = hold.as_ref().filter(|hold| hold.is_received());
        hold.is_some_and(|hold| hold.entry().is_none_or(|entry| !entry.is_lost()))
    }

    /// Marks the hold that was requested with `token` as received: from now on the client can release it. Returns the
    /// ticket of the request, or `None` if there is no such hold.
    pub fn receive(&self, token: u64) -> Option<Ticket> {
        if let Some(slot) = self.slot() {
            return slot.receive(token);
        }
        let hold = self.hold.lock();
        let hold = hold.as_ref().filter(|hold| hold.token == token)?;
        hold.set_received();
        Some(hold.ticket)
    }

    /// Returns which file this handle has locked, or its last request has found.
    pub fn file_id(&self) -> Option<FileId> {
        self.held_entry()
            .map(|entry| entry.id())
            .or_else(|| *self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes which file its last request has found.
    pub(super) fn set_file(&self, file: FileId) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    /// Returns the descriptor of the file that this handle has locked, if a child can inherit the lock by it.
    pub fn descriptor(&self) -> Option<i32> {
        match self.slot() {
            Some(slot) => slot.descriptor(),
            None => self.held_entry()?.descriptor(),
        }
    }

    /// Returns true if a lock was requested by this handle, whether it was granted or not. Such a handle releases its own
    /// holds alone: a second release, or one after a timeout, must not end somebody else's.
    pub(crate) fn has_requested(&self) -> bool {
        self.has_requested.load(Ordering::Relaxed)
    }

    /// Notes that a lock is requested by this handle.
    pub(crate) fn set_requested(&self) {
        self.has_requested.store(true, Ordering::Relaxed);
    }

    /// Takes the hold, to release it, if it has been received and it `is_wanted`.
    pub(crate) fn take_hold(&self, is_wanted: &dyn Fn(&Request) -> bool) -> Option<Arc<Request>> {
        if let Some(slot) = self.slot() {
            return slot.take_hold(is_wanted).inspect(|_| *self.slot.lock() = None);
        }
        self.hold.lock().take_if(|hold| hold.is_received() && is_wanted(hold))
    }

    /// Returns the entry of the lock that this handle holds, whether the hold has been received or not.
    pub(crate) fn held_entry(&self) -> Option<Arc<LockEntry>> {
        self.hold.lock().as_ref().and_then(|hold| hold.entry())
    }

    /// Returns the ticket of the request that holds a lock by this handle.
    pub(super) fn hold_ticket(&self) -> Option<Ticket> {
        self.hold.lock().as_ref().map(|hold| hold.ticket)
    }

    /// Returns true if this handle holds no lock: it holds one at a time.
    pub(crate) fn is_free(&self) -> bool {
        self.hold.lock().is_none()
    }

    /// Makes `request` hold the lock of `entry` from `now` on. Returns false if this handle holds a lock already, or the request was
    /// cancelled before it entered a queue.
    pub(super) fn grant(&self, entry: &Arc<LockEntry>, request: &Arc<Request>, now: Instant) -> bool {
        let mut hold = self.hold.lock();
        let granted = hold.is_none() && request.grant(entry, now);
        if granted {
            *hold = Some(request.clone());
        }
        granted
    }

    /// Forgets the hold of the request with this ticket.
    pub(super) fn forget_hold(&self, ticket: Ticket) {
        self.hold.lock().take_if(|hold| hold.ticket == ticket);
    }
}

//! File locks: one lock per file for all threads and processes, waited for in the kernel.
//!
//! An [`Engine`] serves [`Client`]s. A client makes a [`Request`] by a [`Handle`], which names a path; the outcome goes to
//! its [`CompletionSink`]. Nothing here knows JavaScript: the addon makes promises of outcomes.
//!
//! | module | subject |
//! |---|---|
//! | `engine` | what clients call; the table of locks |
//! | `resolve`, `path_cache` | finding the file of a request |
//! | `steal` | taking a lock from what holds it in this process |
//! | `semaphore` | permits: so many holders at a time |
//! | `driver` | driving a lock, action by action |
//! | `pause` | drivers that are suspended, where no thread can wait in the kernel |
//! | `warm_files` | lock files that stay open for a moment, and requests that find them |
//! | `watchdog`, `queries` | paths that do not answer; who holds a lock |
//! | `dispatch` | what workers and the timer thread call |
//! | `lock` | one lock: its entry, its state machine, its queue, its requests |
//! | `holders` | which processes hold a lock, or wait for it |
//! | `sys` | files, locks and errors of the operating system |
//! | `exec` | the pool, the timer thread and interrupts; they know nothing of locks |
//! | `sync` | the mutex, the clock and the threads, which loom replaces |

mod client;
mod dispatch;
mod driver;
mod engine;
mod exec;
mod existence;
mod holders;
mod lock;
mod path_cache;
mod pause;
mod queries;
mod resolve;
mod semaphore;
mod steal;
mod sync;
mod sys;
mod this_system;
mod trace;
mod warm_files;
mod watchdog;

#[cfg(all(test, not(loom)))]
extern crate self as locket;
#[cfg(all(test, not(loom)))]
mod fake;
#[cfg(all(test, target_os = "linux", not(loom)))]
mod fuzz;
#[cfg(all(fuzzing, target_os = "linux"))]
pub mod fuzzing;
#[cfg(all(loom, test))]
mod models;
#[cfg(all(test, not(loom)))]
#[path = "../tests/support/mod.rs"]
mod support;

pub use client::Client;
pub use engine::{Engine, Released, Snapshot};
pub use exec::at_exit;
pub use exec::thread::is_first_thread;
pub use holders::{Holder, Party};
pub use lock::{
    CancelReason, CompletionSink, Handle, HandleOptions, Outcome, Removal, Request, RequestOptions, Ticket,
};
pub use sys::{FileId, LockMode, Protocol, ProtocolOptions, SystemError};

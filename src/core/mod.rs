//! The lock: plain Rust, with no word of JavaScript.
//!
//! | module | subject |
//! |---|---|
//! | [`engine`] | what users of the core call: start, cancel, release, end |
//! | [`handle`], [`request`] | what a user has, and what a user asks for |
//! | [`holder`] | who holds a lock |
//! | [`shared_file`], [`queue`], [`line`], [`turn`] | one lock file: the turns taken on it, and the line in front of it |
//! | [`pool`], [`timekeeper`], [`threads`] | the threads |
//! | [`kernel`], [`sys`] | what is asked of the operating system, and by which calls |

pub mod engine;
pub mod handle;
pub mod holder;
pub mod kernel;
pub mod line;
pub mod pool;
pub mod queue;
pub mod request;
pub mod shared_file;
pub mod sync;
pub mod sys;
pub mod threads;
pub mod timekeeper;
pub mod turn;

//! The mutex, the clock and the threads of the parts that are modelled with loom. They are those of std; under `cfg(loom)`
//! they are made for loom, which runs every interleaving of them.
//!
//! | name | what it is |
//! |---|---|
//! | [`Mutex`], [`MutexGuard`] | a mutex that is never poisoned |
//! | [`now`] | the time |
//! | [`RandomState`] | the source of jitter; without chance under loom |
//! | [`current`], [`Thread`], [`ThreadId`], [`park_until`] | how a thread sleeps, and is woken |
//!
//! A panic while a mutex is locked does not poison it. Every critical section of this crate leaves the data whole at each
//! point where it could panic, and a lock that refuses for ever after would be the greater harm.

#[cfg(not(loom))]
mod real;
#[cfg(not(loom))]
pub(crate) use real::*;

#[cfg(loom)]
pub(crate) mod modelled;
#[cfg(loom)]
pub(crate) use modelled::{
    Mutex, MutexGuard, RandomState, Thread, ThreadId, current, now, park_until, spawn,
};

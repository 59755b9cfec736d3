//! File locks for Node.js.
//!
//! [`core`] is the lock itself, in plain Rust: it knows no JavaScript. `binding` is its Node-API face.
//! The arrows run one way: binding → core → `core::sys`.

// Tested from JavaScript: the tests in Rust are of the core.
#[cfg(all(feature = "binding", not(any(loom, test))))]
#[macro_use]
extern crate napi_derive;

pub mod core;

#[cfg(all(feature = "binding", not(any(loom, test))))]
mod binding;

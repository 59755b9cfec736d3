//! What is fuzzed: the readers of the system's texts.
#![expect(missing_docs, missing_debug_implementations, reason = "for fuzz/ alone")]

pub use crate::holders::lock_table::*;

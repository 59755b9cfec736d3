//! Events for debugging: one for each action of the state machine, with the feature `tracing`.

use crate::lock::Action;
use crate::sys::FileId;

/// Reports what the driver of the lock of this file does next.
#[cfg(feature = "tracing")]
pub(crate) fn action(file: FileId, action: &Action) {
    tracing::trace!(target: "locket", ?file, ?action);
}

/// Does nothing: the feature is off.
#[cfg(not(feature = "tracing"))]
#[inline]
pub(crate) fn action(_: FileId, _: &Action) {}

//! The handles of an environment. JavaScript knows them by their numbers.
//!
//! An object of Node-API could carry its handle, but making one and looking into it costs several times as much as
//! everything else that a handle needs.

use std::sync::Arc;

use locket::Handle;
use napi::bindgen_prelude::*;

/// Handles by their numbers. The numbers of forgotten handles are used again.
#[derive(Default)]
pub(crate) struct Handles {
    handles: Vec<Option<Arc<Handle>>>,
    unused: Vec<u32>,
}

impl Handles {
    /// Adds a handle. Returns its number.
    pub(crate) fn add(&mut self, handle: Handle) -> u32 {
        let number = self.unused.pop().unwrap_or_else(|| {
            self.handles.push(None);
            u32::try_from(self.handles.len() - 1).expect("so many handles do not fit into the memory")
        });
        self.handles[number as usize] = Some(Arc::new(handle));
        number
    }

    /// Returns the handle with this number.
    pub(crate) fn get(&self, number: u32) -> Result<&Arc<Handle>> {
        let handle = self.handles.get(number as usize).and_then(Option::as_ref);
        handle.ok_or_else(|| Error::from_status(Status::InvalidArg))
    }

    /// Forgets the handle with this number, which JavaScript does not use any more. What it holds stays held.
    pub(crate) fn forget(&mut self, number: u32) {
        if self.handles.get_mut(number as usize).and_then(Option::take).is_some() {
            self.unused.push(number);
        }
    }
}

/// Returns the number by which an environment knows the wait of this handle with this id.
pub(crate) fn token(handle: u32, id: u32) -> u64 {
    u64::from(handle) << 32 | u64::from(id)
}

/// Returns the handle of the wait that an environment knows by this number.
pub(crate) fn handle_of(token: u64) -> u32 {
    (token >> 32) as u32
}

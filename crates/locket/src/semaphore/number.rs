//! The number of permits, which stands in the file of the gate.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{PermitWait, about_slot, slot_path};
use crate::engine::Engine;
use crate::lock::{LockEntry, Outcome};
use crate::sys::{LockFile, LockMode, OpenHow, SystemError};

/// The most bytes that a file of a semaphore has.
const LIMIT: usize = 64;

/// The most permits, as the JavaScript API has it.
const MAX_PERMITS: u32 = 1024;

/// What follows the number.
const UNIT: &str = " permits\n";

/// What the file of a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Nothing: it has just been made.
    Empty,
    /// This is the number of permits.
    Permits(u32),
    /// It is no semaphore's.
    Foreign,
}

impl Content {
    /// Reads what `file` says.
    fn of(file: &dyn LockFile) -> io::Result<Self> {
        let mut buffer = [0; LIMIT + 1];
        let length = file.read(&mut buffer)?;
        Ok(Self::parse(&buffer[..length]))
    }

    fn parse(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        let text = str::from_utf8(bytes).ok().filter(|text| text.len() <= LIMIT);
        // After a longer number was replaced, and before the file was cut, its end may follow.
        let parts = text.and_then(|text| text.split_once(UNIT)).filter(|(_, rest)| UNIT.ends_with(rest));
        match parts.and_then(|(number, _)| Some((number, number.parse().ok()?))) {
            Some((number, permits @ 1..=MAX_PERMITS)) if number == permits.to_string() => {
                Self::Permits(permits)
            }
            _ => Self::Foreign,
        }
    }
}

/// Writes the number of permits into `file`.
fn write(file: &dyn LockFile, permits: u32) -> io::Result<()> {
    file.write(format!("{permits}{UNIT}").as_bytes())
}

impl PermitWait {
    /// Returns true if the file of the gate, which is open, says that there are as many permits.
    pub(super) fn is_agreed(&self, gate: &LockEntry) -> bool {
        matches!(Content::of(gate.file()), Ok(Content::Permits(permits)) if permits == self.permits)
    }

    /// Makes sure that the number of permits is the one that others use, or writes it if nobody uses the semaphore.
    /// `slots_at`: the path beside which the slots are. `has_gate`: it holds the gate.
    pub(super) fn agree(&self, engine: &Engine, slots_at: &Path, has_gate: bool) -> Result<(), Outcome> {
        let failed = |error, syscall| Outcome::Failed(SystemError::new(&error, syscall));
        let failed_at = |index, error, syscall| about_slot(index, failed(error, syscall));
        let Some(entry) = self.gate.held_entry().filter(|_| has_gate) else {
            return self.find_other_permits(engine).map_or(Ok(()), Err);
        };
        let file = entry.file();
        let mut locked = Vec::new();
        match Content::of(file).map_err(|error| failed(error, "read"))? {
            Content::Permits(permits) if permits == self.permits => return Ok(()),
            Content::Foreign => return Err(Outcome::OtherPermits(None)),
            Content::Empty => {}
            Content::Permits(permits) => {
                for index in 0..permits as usize {
                    let slot = self.open(engine, &slot_path(slots_at, index));
                    let slot = match slot {
                        Err(error) if error.kind() == ErrorKind::NotFound => continue,
                        slot => slot.map_err(|error| failed_at(index, error, "open"))?,
                    };
                    if !slot
                        .try_lock(LockMode::Exclusive)
                        .map_err(|error| failed_at(index, error, "flock"))?
                    {
                        return Err(Outcome::OtherPermits(Some(permits)));
                    }
                    // Until the number is written: those who do not wait take no gate.
                    locked.push(slot);
                }
            }
        }
        let written = write(file, self.permits);
        for slot in locked {
            slot.unlock();
        }
        // Where the file may only be read, writing says no more than that it is not open for writing.
        let denied =
            written.as_ref().err().and_then(|_| File::options().write(true).open(&self.gate.path).err());
        written.map_err(|error| denied.map_or_else(|| failed(error, "write"), |error| failed(error, "open")))
    }

    /// Returns the outcome if the file of the gate says another number of permits, or is no semaphore's.
    pub(super) fn find_other_permits(&self, engine: &Engine) -> Option<Outcome> {
        // Where it cannot be read, as on Windows while others have locked it, it is compared with the gate.
        let file = self.open(engine, &self.gate.path).ok()?;
        match Content::of(&*file).ok()? {
            Content::Permits(permits) if permits != self.permits => {
                Some(Outcome::OtherPermits(Some(permits)))
            }
            Content::Empty | Content::Permits(_) => None,
            Content::Foreign => Some(Outcome::OtherPermits(None)),
        }
    }

    fn open(&self, engine: &Engine, path: &Path) -> io::Result<Box<dyn LockFile>> {
        engine.open(path, &OpenHow { create: None, ..self.gate.open_how() })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_as_a_number_of_permits_is_one() {
        let content = |text: &str| Content::parse(text.as_bytes());
        assert_eq!(content(""), Content::Empty);
        assert_eq!(content("4 permits\n"), Content::Permits(4));
        assert_eq!(content("8 permits\ns\n"), Content::Permits(8));
        let long = "1 permits\n".repeat(7);
        for other in [
            "4",
            "4\n",
            "0 permits\n",
            "04 permits\n",
            "1025 permits\n",
            "4 permits\nmore\n",
            "-4 permits\n",
            "4 permits",
            "{}",
            " permits\n",
            &long,
        ] {
            assert_eq!(content(other), Content::Foreign, "{other:?}");
        }
        assert_eq!(Content::parse(b"\xff permits\n"), Content::Foreign);
    }
}

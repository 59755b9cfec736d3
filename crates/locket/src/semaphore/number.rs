//! The number of permits, which stands in the file of the gate.

use std::io;

use crate::sys::LockFile;

/// The most bytes that a file of a semaphore has.
const LIMIT: usize = 64;

/// The most permits, as the JavaScript API has it.
const MAX_PERMITS: u32 = 1024;

/// What follows the number.
const UNIT: &str = " permits\n";

/// What the file of a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: it has just been made.
    Empty,
    /// This is the number of permits.
    Permits(u32),
    /// It is no semaphore's.
    Foreign,
}

impl Content {
    /// Reads what `file` says.
    pub(super) fn of(file: &dyn LockFile) -> io::Result<Self> {
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
pub(super) fn write(file: &dyn LockFile, permits: u32) -> io::Result<()> {
    file.write(format!("{permits}{UNIT}").as_bytes())
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

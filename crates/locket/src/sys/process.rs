//! What is known of processes of this host.

/// When a process was started: no other process of this host has the same pid and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Which boot of the host it was. 0: unknown.
    pub boot: u128,
    /// How long after the boot it was, in a unit of the system.
    pub started: u64,
}

impl Start {
    /// Returns true if the two may be one. Either may have the word for its boot alone.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        let is_unknown = self.boot == 0 || other.boot == 0;
        let is_same = self.boot == other.boot
            || u128::from(self.boot_word()) == other.boot
            || self.boot == other.boot_word().into();
        self.started == other.started && (is_unknown || is_same)
    }

    /// Returns a number that tells the boot from others, in less space.
    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    pub(crate) fn boot_word(&self) -> u64 {
        (self.boot >> 64) as u64 ^ self.boot as u64
    }
}

/// What is known of a process with a certain pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// There is none.
    Dead,
    /// There is one, which was started then. `None`: the system does not tell.
    Alive(Option<Start>),
}

/// The result of watching a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "nobody watches there")
)]
pub(crate) enum ProcessWatch {
    /// Its end will be told.
    Begun,
    /// It has ended.
    Gone,
    /// The system cannot watch it.
    Unknown,
}

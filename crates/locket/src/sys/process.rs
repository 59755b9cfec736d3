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
    /// Returns true if the two may be one.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        self.started == other.started && (self.boot == other.boot || self.boot == 0 || other.boot == 0)
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

//! Notices that the wall clock was set forward, or stood still with the machine: then everything looks older than it is, and
//! the locks of those that are alive look abandoned until they have been renewed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// By how much more than the time that has passed the wall clock must have advanced.
const JUMP: i128 = 1_000_000_000;

/// What is known of the clocks.
struct Clocks {
    /// When they were last read, and what the wall clock said then.
    last: (Instant, i128),
    /// When a jump was noticed.
    jumped: Option<Instant>,
}

static CLOCKS: Mutex<Option<Clocks>> = Mutex::new(None);

/// Returns the time by the wall clock, in nanoseconds since 1970.
pub(super) fn wall_clock() -> i128 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

/// Returns how long ago `time` was, by the wall clock, or `None` if it is in the future.
pub(super) fn age(time: i128) -> Option<Duration> {
    u64::try_from(wall_clock() - time).ok().map(Duration::from_nanos)
}

/// Returns how long ago it was noticed that the wall clock had jumped forward, if it has since this was first called.
pub(super) fn since_jump() -> Option<Duration> {
    let (now, wall) = (Instant::now(), wall_clock());
    let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    clocks.get_or_insert(Clocks { last: (now, wall), jumped: None }).read(now, wall)
}

impl Clocks {
    /// Notes what the clocks say. Returns how long ago a jump was noticed.
    fn read(&mut self, now: Instant, wall: i128) -> Option<Duration> {
        let (last, wall_then) = std::mem::replace(&mut self.last, (now, wall));
        let passed = now.saturating_duration_since(last).as_nanos();
        if wall - wall_then > i128::try_from(passed).unwrap_or(i128::MAX).saturating_add(JUMP) {
            self.jumped = Some(now);
        }
        self.jumped.map(|jumped| now.saturating_duration_since(jumped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    #[test]
    fn only_a_wall_clock_that_advances_faster_than_time_passes_has_jumped() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut clocks = Clocks { last: (start, 0), jumped: None };
        assert_eq!(clocks.read(at(5), 5 * SECOND), None);
        assert_eq!(clocks.read(at(6), 7 * SECOND), None, "not more than a second too fast");
        assert_eq!(clocks.read(at(7), 2 * SECOND), None, "backward: nothing looks older than it is");
        assert_eq!(clocks.read(at(8), 60 * SECOND), Some(Duration::ZERO));
        assert_eq!(clocks.read(at(11), 63 * SECOND), Some(Duration::from_secs(3)));
    }
}

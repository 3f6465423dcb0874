//! [`Moment`]: a point in time that can be compared with what the service manager says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A point in time on a host, by its clock and within one run of its kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Microseconds since 1970-01-01 00:00 UTC. The clock may be set at any time, so nothing is decided by it.
    pub unix_micros: i64,
    /// The run of the kernel: `/proc/sys/kernel/random/boot_id`, see `random(4)`.
    pub boot: Arc<str>,
    /// Microseconds of `CLOCK_MONOTONIC`, the clock of systemd's `…TimestampMonotonic` properties.
    pub monotonic_micros: u64,
}

impl Moment {
    /// Whether something that began at `monotonic_micros` of the boot `now` belongs to began after this moment.
    /// Whatever runs after a reboot did.
    pub fn is_before_start(&self, started_micros: u64, now: &Moment) -> bool {
        self.boot != now.boot || self.monotonic_micros < started_micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: &str, monotonic_micros: u64) -> Moment {
        Moment { unix_micros: 0, boot: boot.into(), monotonic_micros }
    }

    #[test]
    fn what_runs_after_a_reboot_began_after_the_moment() {
        let changed = moment("a", 500);
        assert!(changed.is_before_start(501, &moment("a", 900)));
        assert!(!changed.is_before_start(500, &moment("a", 900)));
        assert!(changed.is_before_start(3, &moment("b", 900)));
    }
}

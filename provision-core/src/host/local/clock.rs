//! What time it is on the running host.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::moment::Moment;

/// What time it is.
pub(super) fn now() -> Moment {
    static BOOT: OnceLock<Arc<str>> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "`/proc` belongs to this host, and so does its clock")]
    let (boot, since) = (
        BOOT.get_or_init(|| {
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().into()
        }),
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    );
    let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from).unwrap_or_default();
    Moment {
        unix_micros: i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        boot: Arc::clone(boot),
        monotonic_micros: u64::try_from(monotonic.as_micros()).unwrap_or(u64::MAX),
    }
}

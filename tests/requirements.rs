//! What a test needs of the machine. Without it the test is skipped, and the output says so; where
//! `PROVISION_REAL_TESTS=required` it fails.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a test needs, and this machine does not have.
pub struct Missing(String);

/// Whether a test fails without what it needs.
pub fn are_required() -> bool {
    std::env::var("PROVISION_REAL_TESTS").is_ok_and(|value| value == "required")
}

/// The rights of root.
pub fn root() -> Result<(), Missing> {
    require(nix::unistd::geteuid().is_root(), || "root".to_owned())
}

/// Programs that are installed.
pub fn programs(names: &[&str]) -> Result<(), Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&&str| !std::env::split_paths(&path).any(|directory| directory.join(name).exists());
    let missing: Vec<&str> = names.iter().filter(is_there).copied().collect();
    require(missing.is_empty(), || format!("the program {}", missing.join(", the program ")))
}

pub fn require(is_met: bool, what: impl FnOnce() -> String) -> Result<(), Missing> {
    if is_met { Ok(()) } else { Err(Missing(what())) }
}

impl Missing {
    /// Counts the test as skipped. libtest captures what tests print, but not what is written like this.
    pub fn skip(&self) {
        static SKIPPED: AtomicUsize = AtomicUsize::new(0);
        assert!(!are_required(), "this test needs {}", self.0);
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        let _ = writeln!(std::io::stderr(), "skipped ({count}): {test} needs {}", self.0);
    }
}

/// What a test needs, or the end of the test, which is skipped then.
macro_rules! given {
    ($needed:expr) => {
        match $needed {
            Ok(needed) => needed,
            Err(missing) => return missing.skip(),
        }
    };
}

pub(crate) use given;

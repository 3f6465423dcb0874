//! Whether a unit is enabled when its package comes: `systemd.preset(5)`, which deb-systemd-helper(1p) asks.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::host::HostView;
use crate::path::HostPath;
use crate::sim::Machine;
use crate::sim::glob::fits;

/// Where presets lie, the strongest first.
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system-preset",
    "/run/systemd/system-preset",
    "/usr/local/lib/systemd/system-preset",
    "/usr/lib/systemd/system-preset",
    "/lib/systemd/system-preset",
];

impl Machine<'_> {
    /// Whether a preset lets a unit be enabled. Without a line about it, it is.
    pub(in crate::sim) fn preset_enables(&self, unit: &str) -> Result<bool> {
        let mut files = BTreeMap::new();
        for directory in DIRECTORIES {
            let directory = HostPath::new(directory)?;
            for name in self.list(&directory)?.unwrap_or_default() {
                if name.ends_with(".preset") {
                    files.entry(name.clone()).or_insert(directory.join(&name)?);
                }
            }
        }
        for path in files.values() {
            // What those of packages say is not recorded; they are about units that are there from the beginning.
            let Some(content) = self.read(path).ok().flatten() else { continue };
            if let Some(enables) = said_of(&String::from_utf8_lossy(content.bytes()), unit) {
                return Ok(enables);
            }
        }
        Ok(true)
    }
}

/// What the first line that is about a unit says.
fn said_of(text: &str, unit: &str) -> Option<bool> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let enables = match words.next()? {
            "enable" => true,
            "disable" => false,
            _ => return None,
        };
        words.next().filter(|pattern| fits(pattern, unit)).map(|_| enables)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_about_a_unit_counts() {
        let text = "# ours\n; too\nenable ssh*.service\ndisable *\nenable cron.service\n";
        assert_eq!(said_of(text, "ssh.service"), Some(true));
        assert_eq!(said_of(text, "ssh.socket"), Some(false));
        assert_eq!(said_of(text, "cron.service"), Some(false));
        assert_eq!(said_of("disable at?.service", "atd.service"), Some(false));
        assert_eq!(said_of("disable at?.service", "at.service"), None);
        assert_eq!(said_of("", "at.service"), None);
    }
}

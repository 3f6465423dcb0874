//! What unit files say of other units, and of what starting one comes to.

use crate::host::units::{Definition, is_unit};

/// How a unit pulls another in when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Dependency {
    /// It cannot run without it.
    Requires,
    /// It would like it to run.
    Wants,
    /// They cannot run together.
    Conflicts,
    /// It does not start unless the other runs already.
    Requisite,
    /// It goes when the other goes; see `systemd.unit(5)`, "Mapping of unit properties to their inverses".
    GoesWith,
    /// It is started whenever the other has stopped.
    Upholds,
    /// It comes after it has failed.
    OnFailure,
    /// It comes after it has ended well.
    OnSuccess,
}

impl Dependency {
    /// The directories whose links say the same as the files of a unit: `requires` for `app.service.requires`.
    pub(in crate::sim) fn links(self) -> &'static [&'static str] {
        match self {
            Dependency::Requires | Dependency::GoesWith => &["requires"],
            Dependency::Wants => &["wants", "upholds"],
            Dependency::Upholds => &["upholds"],
            Dependency::Conflicts | Dependency::Requisite | Dependency::OnFailure | Dependency::OnSuccess => &[],
        }
    }
}

impl Definition {
    /// The units that it pulls in, or cannot run with.
    pub(in crate::sim) fn dependencies(&self, kind: Dependency) -> Vec<&str> {
        let keys: &[&str] = match kind {
            Dependency::Requires => &["Requires", "BindsTo"],
            Dependency::Wants => &["Wants", "Upholds"],
            Dependency::Conflicts => &["Conflicts"],
            Dependency::Requisite => &["Requisite"],
            Dependency::GoesWith => &["Requires", "BindsTo", "Requisite", "PartOf"],
            Dependency::Upholds => &["Upholds"],
            Dependency::OnFailure => &["OnFailure"],
            Dependency::OnSuccess => &["OnSuccess"],
        };
        keys.iter().flat_map(|key| self.words("Unit", key)).collect()
    }

    /// All units that it names in its `[Unit]` section.
    pub(in crate::sim) fn all_named(&self) -> impl Iterator<Item = &str> {
        let of_unit = self.settings().iter().filter(|(section, ..)| section == "Unit");
        of_unit.flat_map(|(_, _, value)| value.split_whitespace()).filter(|word| is_unit(word))
    }

    /// The unit that a socket, a timer or a path starts; see `systemd.socket(5)`, `systemd.timer(5)`, `systemd.path(5)`.
    pub(in crate::sim) fn triggers(&self) -> Option<String> {
        let (stem, suffix) = self.id.rsplit_once('.')?;
        let (section, key) = match suffix {
            "socket" if self.accepts() => return Some(format!("{stem}@.service")),
            "socket" => ("Socket", "Service"),
            "timer" => ("Timer", "Unit"),
            "path" => ("Path", "Unit"),
            _ => return None,
        };
        // systemd ignores a unit of the same kind there (`config_parse_trigger_unit()`), which would start itself for ever.
        let is_of_another_kind = |unit: &&str| unit.rsplit('.').next() != Some(suffix);
        let named = self.value(section, key).filter(is_of_another_kind);
        Some(named.map_or_else(|| format!("{stem}.service"), str::to_owned))
    }

    /// Whether a socket starts a service of its own for every connection.
    pub(in crate::sim) fn accepts(&self) -> bool {
        self.is_on("Socket", "Accept")
    }

    /// Whether starting it is done before anybody knows that its program runs; see `systemd.service(5)`, `Type=`.
    pub(in crate::sim) fn starts_blindly(&self) -> bool {
        self.id.ends_with(".service") && matches!(self.value("Service", "Type"), None | Some("simple" | "idle"))
    }

    /// `ActiveState` and `SubState` once it has started.
    pub(in crate::sim) fn started(&self) -> (&'static str, &'static str) {
        match self.id.rsplit('.').next() {
            Some("socket") => ("active", "listening"),
            Some("timer" | "path") => ("active", "waiting"),
            Some("target" | "slice") => ("active", "active"),
            Some("mount") => ("active", "mounted"),
            Some("automount") => ("active", "waiting"),
            Some("swap") => ("active", "active"),
            _ if self.ends_by_itself() => ("inactive", "dead"),
            _ if self.remains() && self.value("Service", "Type") == Some("oneshot") => ("active", "exited"),
            _ => ("active", "running"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_becomes_depends_on_its_type() {
        let started = |text: &str| {
            let mut unit = Definition::default();
            unit.id = "a.service".into();
            unit.add(text);
            unit.started()
        };
        assert_eq!(started("[Service]\nType=oneshot\n"), ("inactive", "dead"));
        assert_eq!(started("[Service]\nType=oneshot\nRemainAfterExit=yes\n"), ("active", "exited"));
        assert_eq!(started("[Service]\nType=notify\n"), ("active", "running"));
    }
}

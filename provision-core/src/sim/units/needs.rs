//! What a unit needs to be there when it starts: conditions, and what a service runs as and with.

use crate::error::Result;

use crate::host::overlay::does_not_run;
use crate::host::units::Definition;
use crate::path::HostPath;
use crate::sim::Machine;

impl Machine<'_> {
    /// Conditions that the model can decide; see `systemd.unit(5)`. The others hold.
    pub(in crate::sim) fn conditions_hold(&self, unit: &Definition) -> Result<bool> {
        let decided = ["ConditionPathExists", "ConditionPathIsDirectory", "ConditionFileIsExecutable"];
        for key in decided {
            for value in unit.values("Unit", key) {
                let (wanted, path) = match value.strip_prefix('!') {
                    Some(path) => (false, path),
                    None => (true, value),
                };
                let Ok(path) = HostPath::new(path.trim_start_matches('|')) else { continue };
                if self.leads_to(&path)?.is_some() != wanted {
                    return Ok(false);
                }
            }
        }
        // The hosts were recorded in containers, where nothing of the kernel's security is to be had: no audit, for one.
        Ok(unit.values("Unit", "ConditionSecurity").iter().all(|value| value.starts_with('!')))
    }

    /// Fails as systemd would, if the program, the user or the directory of a service is not there;
    /// the codes are those of `systemd.exec(5)`, "Process Exit Codes".
    pub(in crate::sim) fn require_parts(&self, name: &str, unit: &Definition) -> Result<()> {
        for line in unit.values("Service", "ExecStartPre").into_iter().chain(unit.values("Service", "ExecStart")) {
            let program = line.split_whitespace().next().unwrap_or_default();
            let plain = program.trim_start_matches(['@', ':', '+', '!', '|']);
            if plain.starts_with('-') || plain.contains(['%', '$']) {
                continue;
            }
            let found = match HostPath::new(plain) {
                Ok(path) => self.leads_to(&path)?,
                Err(_) => self.program(plain)?,
            };
            if found.is_none() {
                return Err(does_not_run(name, &format!("203/EXEC: there is no {plain}")));
            }
        }
        for (key, what) in [("User", "user"), ("Group", "group")] {
            let Some(value) = unit.value("Service", key).filter(|value| !value.contains('%')) else { continue };
            let dynamic = unit.is_on("Service", "DynamicUser");
            let known = value == "root"
                || value.parse::<u32>().is_ok()
                || match what {
                    "user" => self.accounts()?.users.contains_key(value),
                    _ => self.accounts()?.groups.contains_key(value),
                };
            if !known && !dynamic {
                let code = if key == "User" { "217/USER" } else { "216/GROUP" };
                return Err(does_not_run(name, &format!("{code}: there is no {what} {value}")));
            }
        }
        if let Some(value) = unit.value("Service", "WorkingDirectory")
            && let Ok(path) = HostPath::new(value)
            && self.leads_to(&path)?.is_none()
        {
            return Err(does_not_run(name, &format!("200/CHDIR: there is no {value}")));
        }
        for value in unit.values("Service", "EnvironmentFile") {
            if let Ok(path) = HostPath::new(value)
                && !value.contains(['*', '%'])
                && self.leads_to(&path)?.is_none()
            {
                return Err(does_not_run(name, &format!("resources: there is no {value}")));
            }
        }
        Ok(())
    }
}

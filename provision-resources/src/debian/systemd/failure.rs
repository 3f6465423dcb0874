//! Why a unit does not run, or did not reload: in systemd's own words, with what it logged last.

use std::time::Duration;

use provision_core::effect::{Command, UnitAction};
use provision_core::error::{Error, ErrorKind};
use provision_core::host::LocalSystem;

use super::property;

const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,ReloadResult,ExecMainCode,ExecMainStatus,ConditionResult,\
    AssertResult";

/// How many lines of the journal an error repeats.
const LINES: usize = 10;

/// An action on a unit that was begun at a time.
pub(super) struct Attempt<'a> {
    pub(super) unit: &'a str,
    pub(super) action: UnitAction,
    /// Since 1970.
    pub(super) since: Duration,
}

impl Attempt<'_> {
    /// Why the action came to nothing; `said` is what systemctl(1) had to say.
    pub(super) fn failure(&self, system: &LocalSystem, said: &str) -> Error {
        let unit = self.unit;
        let ask = Command::new(["systemctl", "show", "--no-pager", "-p", PROPERTIES, "--", unit]);
        let shown = system.run(&ask).map(|output| output.stdout).unwrap_or_default();
        let is_active = matches!(property(&shown, "ActiveState"), "active" | "reloading" | "refreshing");
        if self.action == UnitAction::Reload && is_active {
            let result = format!("ReloadResult={}", property(&shown, "ReloadResult"));
            return self.with_last_words(
                system,
                format!("{unit} could not reload, and runs on as before ({result})"),
                said,
            );
        }
        let conditions = system.unit_conditions(unit).unwrap_or_default();
        let is_inactive = property(&shown, "ActiveState") == "inactive";
        let unmet = ["ConditionResult", "AssertResult"].iter().any(|result| property(&shown, result) == "no");
        if is_inactive && unmet && !conditions.is_empty() {
            let conditions = conditions.join(", ");
            let message = format!("{unit} was not started: a condition of its unit file does not hold ({conditions})");
            return self.with_last_words(system, message, said);
        }
        let what = if is_inactive { "ended soon after its start" } else { "does not run" };
        self.with_last_words(system, format!("{unit} {what} ({})", outcome(&shown)), said)
    }

    /// It ends over and over, and systemd starts it again each time.
    pub(super) fn restarts_for_ever(&self, system: &LocalSystem, restarts: u32) -> Error {
        let unit = self.unit;
        let ask = Command::new(["systemctl", "show", "--no-pager", "-p", PROPERTIES, "--", unit]);
        let shown = system.run(&ask).map(|output| output.stdout).unwrap_or_default();
        let count = if restarts > 0 { format!(", NRestarts={restarts}") } else { String::new() };
        let ended = outcome(&shown);
        let message = format!("{unit} does not stay up: it ended, and systemd restarts it ({ended}{count})");
        self.with_last_words(system, message, "")
    }

    fn with_last_words(&self, system: &LocalSystem, message: String, said: &str) -> Error {
        let since = format!("@{}", self.since.as_secs());
        let count = LINES.to_string();
        let journal = [
            "journalctl",
            "--no-pager",
            "-q",
            "-o",
            "cat",
            "-n",
            count.as_str(),
            "--since",
            since.as_str(),
            "-u",
            self.unit,
        ];
        let logged = system.run(&Command::new(journal)).map(|output| output.stdout).unwrap_or_default();
        let cause = if logged.trim().is_empty() { said } else { logged.trim() };
        let unit = self.unit;
        Error::new(ErrorKind::CommandFailed, message)
            .with_cause(cause)
            .with_hint(format!("`systemctl status {unit}` and `journalctl -u {unit}` have more"))
    }
}

/// How its main process ended, as in "Result=exit-code, exit status 218/CAPABILITIES".
fn outcome(shown: &str) -> String {
    let status: i32 = property(shown, "ExecMainStatus").parse().unwrap_or(0);
    let ended = match property(shown, "ExecMainCode") {
        // CLD_EXITED, CLD_KILLED and CLD_DUMPED of sigaction(2).
        "1" => match name_of(status) {
            Some((name, what)) => format!(", exit status {status}/{name}: {what}"),
            None => format!(", exit status {status}"),
        },
        "2" | "3" => format!(", killed by signal {status}"),
        _ => String::new(),
    };
    let result = property(shown, "Result");
    let result = if result.is_empty() { String::new() } else { format!("Result={result}") };
    format!("{result}{ended}")
}

/// What exit statuses mean that systemd itself gives; see `systemd.exec(5)`, "Process Exit Codes".
fn name_of(status: i32) -> Option<(&'static str, &'static str)> {
    Some(match status {
        200 => ("CHDIR", "its working directory cannot be entered"),
        203 => ("EXEC", "its program cannot be executed"),
        205 => ("LIMITS", "a limit cannot be set"),
        208 => ("STDIN", "its standard input cannot be set up"),
        209 => ("STDOUT", "its standard output cannot be set up"),
        216 => ("GROUP", "its group cannot be used"),
        217 => ("USER", "its user cannot be used"),
        218 => ("CAPABILITIES", "it lacks a capability that its unit file asks for"),
        219 => ("CGROUP", "its control group cannot be set up"),
        222 => ("PAM", "its PAM session cannot be opened"),
        226 => ("NAMESPACE", "its mount namespace cannot be set up"),
        228 => ("SECCOMP", "its system call filter cannot be applied"),
        233 => ("RUNTIME_DIRECTORY", "its runtime directory cannot be set up"),
        238 => ("STATE_DIRECTORY", "its state directory cannot be set up"),
        240 => ("LOGS_DIRECTORY", "its log directory cannot be set up"),
        243 => ("CREDENTIALS", "its credentials cannot be set up"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_is_told_in_the_words_of_systemd() {
        let shown = |code: u32, status: u32, result: &str| {
            outcome(&format!("Result={result}\nExecMainCode={code}\nExecMainStatus={status}\n"))
        };
        assert_eq!(shown(1, 3, "exit-code"), "Result=exit-code, exit status 3");
        assert!(shown(1, 218, "exit-code").contains("218/CAPABILITIES: it lacks a capability"));
        assert_eq!(shown(2, 9, "signal"), "Result=signal, killed by signal 9");
        assert_eq!(shown(0, 0, "start-limit-hit"), "Result=start-limit-hit");
    }
}

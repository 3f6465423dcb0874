//! Commands, and what they answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Sensitive;

/// A command: an argument vector, never a shell's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables beside the fixed ones (`PATH`, `LC_ALL=C.UTF-8`, `HOME=/root`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What it reads; nothing by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Sensitive>,
    /// Seconds after which it is ended.
    pub timeout_seconds: u64,
}

impl Command {
    /// A command with nothing to read and five minutes to run.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Command {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: BTreeMap::new(),
            stdin: None,
            timeout_seconds: 300,
        }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Command {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives it something to read.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Command {
        self.stdin = Some(Sensitive::new(text));
        self
    }

    /// Sets the time it may take, in whole seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Command {
        self.timeout_seconds = timeout.as_secs();
        self
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, argument) in self.argv.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
            if !argument.is_empty() && argument.chars().all(plain) {
                f.write_str(argument)?;
            } else {
                write!(f, "'{}'", argument.replace('\'', "'\\''"))?;
            }
        }
        Ok(())
    }
}

/// Lines at the beginning and at the end of a long output that are shown.
const HEAD: usize = 6;
const TAIL: usize = 12;

/// What a command said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 and the signal's number for a command that a signal ended.
    pub code: i32,
    /// Standard output, its invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, its invalid UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// Whether the command ended with exit code 0.
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// What it said to explain itself: its messages, or else its output. Of a long text, its beginning and its end: the first
    /// message often names the cause, and the last one the result.
    pub fn excerpt(&self) -> String {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let Some(left_out) = lines.len().checked_sub(HEAD + TAIL + 1).filter(|more| *more > 0) else {
            return lines.join("\n");
        };
        let (head, tail) = (&lines[..HEAD], &lines[lines.len() - TAIL..]);
        format!("{}\n… {} more lines …\n{}", head.join("\n"), left_out + 1, tail.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the last lines had been kept, and the first error was not among them.
    #[test]
    fn of_a_long_output_the_beginning_and_the_end_are_kept() {
        let output = |lines: usize| Output {
            stderr: (1..=lines).fold(String::new(), |text, line| format!("{text}line {line}\n")),
            ..Output::default()
        };
        assert_eq!(output(19).excerpt().lines().count(), 19);
        let excerpt = output(100).excerpt();
        assert!(excerpt.starts_with("line 1\n") && excerpt.ends_with("\nline 100"), "{excerpt}");
        assert!(excerpt.contains("line 6\n… 82 more lines …\nline 89\n"), "{excerpt}");
    }
}

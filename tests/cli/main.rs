//! The command line from outside: what it prints, how it ends, and what it leaves behind.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests look at files and programs from outside"
)]

mod attributes;
mod bad_sites;
mod budget;
mod cache;
mod guarantees;
mod ledger;
#[path = "../requirements.rs"]
mod requirements;
mod root_directory;
mod secrets;
mod site_inputs;
mod swapping;
mod testing;
mod verbs;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A directory with site files, in which the program runs.
struct Place {
    directory: tempfile::TempDir,
}

/// How a run ended, without what differs from run to run.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// Everything that a person sees.
    fn seen(&self) -> String {
        format!("exit code {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

impl Place {
    fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    /// A directory with one site in it.
    fn with(site: &str) -> Place {
        Place::new().file("site.ncl", site)
    }

    fn file(self, name: &str, text: &str) -> Place {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the program with words that are split at spaces.
    fn run(&self, arguments: &str) -> Ran {
        self.run_with(arguments, &[], "")
    }

    fn run_with(&self, arguments: &str, environment: &[(&str, &str)], stdin: &str) -> Ran {
        self.start(
            Command::new(provision()).args(arguments.split_whitespace()).envs(environment.iter().copied()),
            stdin,
        )
    }

    fn start(&self, command: &mut Command, stdin: &str) -> Ran {
        let mut child = command
            .current_dir(self.directory.path())
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let clean = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(self.directory.path().to_str().unwrap(), "PLACE");
            without_times(&text)
        };
        Ran { code: output.status.code().unwrap(), out: clean(&output.stdout), err: clean(&output.stderr) }
    }
}

/// `(0.1 s)` differs from run to run.
fn without_times(text: &str) -> String {
    let mut clean = String::new();
    for line in text.split_inclusive('\n') {
        match line.rsplit_once('(') {
            Some((before, after)) if after.trim_end().ends_with(" s).") => clean += &format!("{before}(TIME).\n"),
            _ => clean += line,
        }
    }
    clean
}

fn provision() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join("provision");
    assert!(built.exists(), "build the command line first: cargo build -p provision-cli");
    built
}

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples");
    std::fs::read_to_string(examples.join(name)).unwrap()
}

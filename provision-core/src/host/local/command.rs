//! Running a program: argument vector, fixed environment, nothing to read, a limited time, a limited output.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::bytes::to_bytes;
use crate::effect::{Command, Output};
use crate::error::{Error, ErrorKind, Result};

/// More of an output is passed over, so that a runaway program does not fill the memory.
const MOST_OUTPUT: usize = 4 << 20;

/// How long the output of a program that has ended is waited for: a daemon that it started may hold it open.
const AFTERWARDS: Duration = Duration::from_millis(200);

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum Said {
    Out(Vec<u8>),
    Err(Vec<u8>),
    End,
}

/// Runs a command, in a root directory if there is one, and waits for it.
pub(super) fn run(command: &Command, root: Option<&Path>, watch: &(dyn Fn(&str) + Sync)) -> Result<Output> {
    let mut child = start(command, root)?;
    let (send, said) = mpsc::channel();
    if let Some(mut stdin) = child.stdin.take() {
        let text = command.stdin.clone();
        // Apart, because a program that does not read would block us.
        std::thread::spawn(move || text.map(|text| stdin.write_all(text.reveal().as_bytes())));
    }
    if let Some(stdout) = child.stdout.take() {
        listen(stdout, send.clone(), Said::Out);
    }
    if let Some(stderr) = child.stderr.take() {
        listen(stderr, send, Said::Err);
    }
    let mut transcript = Transcript { watch, out: Vec::new(), err: Vec::new(), line: Vec::new() };
    let deadline = Instant::now() + Duration::from_secs(command.timeout_seconds);
    let mut open = 2;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            end(&mut child);
            return Err(Error::new(
                ErrorKind::TimedOut,
                format!("it did not end within {} s and was killed", command.timeout_seconds),
            )
            .with_cause(String::from_utf8_lossy(&transcript.err).into_owned()));
        }
        if open == 0 {
            std::thread::sleep(pause);
        } else {
            match said.recv_timeout(pause) {
                Ok(Said::End) => open -= 1,
                Ok(said) => transcript.hear(said),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let patience = Instant::now() + AFTERWARDS;
    while open > 0 {
        match said.recv_timeout(patience.saturating_duration_since(Instant::now())) {
            Ok(Said::End) => open -= 1,
            Ok(said) => transcript.hear(said),
            Err(_) => break,
        }
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    tracing::debug!(%command, code, "ran");
    Ok(transcript.finish(code))
}

fn start(command: &Command, root: Option<&Path>) -> Result<Child> {
    let Some(program) = command.argv.first() else {
        return Err(Error::new(ErrorKind::Invalid, "the command is empty"));
    };
    #[expect(clippy::disallowed_methods, reason = "this is the room in which processes are started")]
    let mut process = match root {
        None => std::process::Command::new(program),
        Some(root) => {
            let mut chroot = std::process::Command::new("/usr/sbin/chroot");
            chroot.arg(root).arg(program);
            chroot
        }
    };
    process
        .args(command.argv[1..].iter().map(|argument| OsString::from_vec(to_bytes(argument).into_owned())))
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/root")
        .envs(&command.environment)
        .current_dir("/")
        .stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: Ctrl-C reaches this program, which decides, and not what it runs.
        .process_group(0);
    process.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, format!("there is no program {program}")),
        _ => Error::io(&error),
    })
}

fn listen(mut pipe: impl Read + Send + 'static, send: mpsc::Sender<Said>, wrap: fn(Vec<u8>) -> Said) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if send.send(wrap(buffer[..length].to_vec())).is_err() {
                return;
            }
        }
        let _ = send.send(Said::End);
    });
}

fn end(child: &mut Child) {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let _ = killpg(group, Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

struct Transcript<'a> {
    watch: &'a (dyn Fn(&str) + Sync),
    out: Vec<u8>,
    err: Vec<u8>,
    line: Vec<u8>,
}

impl Transcript<'_> {
    fn hear(&mut self, said: Said) {
        let (kept, bytes) = match said {
            Said::Out(bytes) => {
                for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                    self.line.extend_from_slice(part);
                    if part.ends_with(b"\n") {
                        (self.watch)(String::from_utf8_lossy(&self.line).trim_end());
                        self.line.clear();
                    }
                }
                (&mut self.out, bytes)
            }
            Said::Err(bytes) => (&mut self.err, bytes),
            Said::End => return,
        };
        let room = MOST_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn finish(self, code: i32) -> Output {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output { code, stdout: text(self.out), stderr: text(self.err) }
    }
}

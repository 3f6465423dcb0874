//! Running a program: argument vector, fixed environment, nothing to read, a limited time, a limited output.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
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

/// What becomes of programs that a command has started, and that go on when it has ended.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Rest {
    /// They may be daemons.
    GoesOn,
    /// They are ended.
    Ends,
}

/// Runs a command, in a root directory if there is one, and waits for it.
pub(super) fn run(command: &Command, root: Option<&Path>, rest: Rest, watch: &(dyn Fn(&str) + Sync)) -> Result<Output> {
    let mut child = start(command, root)?;
    let mut transcript = Transcript { watch, out: Vec::new(), err: Vec::new(), line: Vec::new() };
    let status = Pipes::of(&mut child, command).and_then(|mut pipes| pipes.serve(&mut child, command, &mut transcript));
    if status.is_err() {
        end(&mut child);
    } else if rest == Rest::Ends {
        let _ = killpg(group_of(&child), Signal::SIGKILL);
    }
    let status = status?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    tracing::debug!(%command, code, "ran");
    Ok(transcript.finish(code))
}

/// The ends of a program's pipes. All are served by one thread, which never waits for one of them alone: a program may write
/// before it reads, and where no more threads can be had (`pids.max`, see cgroups(7)) nothing else is needed.
struct Pipes<'a> {
    stdin: Option<(ChildStdin, &'a [u8])>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, command: &'a Command) -> Result<Pipes<'a>> {
        let text = command.stdin.as_ref().map_or(&[][..], |text| text.reveal().as_bytes());
        let stdin = child.stdin.take().map(|stdin| (stdin, text));
        let pipes = Pipes { stdin, stdout: child.stdout.take(), stderr: child.stderr.take() };
        for end in pipes.ends() {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(pipes)
    }

    fn ends(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let stdin = self.stdin.as_ref().map(|(stdin, _)| stdin.as_fd());
        let stdout = self.stdout.as_ref().map(AsFd::as_fd);
        [stdin, stdout, self.stderr.as_ref().map(AsFd::as_fd)].into_iter().flatten()
    }

    /// Serves them until the program has ended.
    fn serve(&mut self, child: &mut Child, command: &Command, transcript: &mut Transcript<'_>) -> Result<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(command.timeout_seconds);
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    format!("it did not end within {} s and was killed", command.timeout_seconds),
                )
                .with_cause(String::from_utf8_lossy(&transcript.err).into_owned()));
            }
            self.exchange(pause, transcript)?;
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        self.stdin = None;
        let patience = Instant::now() + AFTERWARDS;
        while self.ends().next().is_some() {
            let left = patience.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.exchange(left, transcript)?;
        }
        Ok(status)
    }

    /// Reads and writes what can be read and written within a time.
    fn exchange(&mut self, patience: Duration, transcript: &mut Transcript<'_>) -> Result<()> {
        let is_reader =
            |end: &BorrowedFd<'_>| self.stdin.as_ref().is_some_and(|(stdin, _)| stdin.as_raw_fd() == end.as_raw_fd());
        let wanted = |end: &BorrowedFd<'_>| if is_reader(end) { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let mut polled: Vec<PollFd<'_>> = self.ends().map(|end| PollFd::new(end, wanted(&end))).collect();
        if polled.is_empty() {
            std::thread::sleep(patience);
            return Ok(());
        }
        // A timeout of 0 does not wait at all.
        let timeout = u16::try_from(patience.as_millis().max(1)).unwrap_or(u16::MAX);
        match poll(&mut polled, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        drop(polled);
        if let Some((stdin, text)) = &mut self.stdin {
            match stdin.write(text) {
                Ok(written) if written < text.len() => *text = &text[written..],
                Err(error) if is_passing(&error) => {}
                // It has all, or reads no more.
                Ok(_) | Err(_) => self.stdin = None,
            }
        }
        if self.stdout.as_mut().is_some_and(|stdout| !hear(stdout, |bytes| transcript.hear_out(bytes))) {
            self.stdout = None;
        }
        if self.stderr.as_mut().is_some_and(|stderr| !hear(stderr, |bytes| keep(&mut transcript.err, bytes))) {
            self.stderr = None;
        }
        Ok(())
    }
}

/// Hears what a pipe has to say, and whether it may say more.
fn hear(pipe: &mut impl Read, mut say: impl FnMut(&[u8])) -> bool {
    let mut buffer = [0; 8192];
    match pipe.read(&mut buffer) {
        Ok(0) => false,
        Ok(length) => {
            say(&buffer[..length]);
            true
        }
        Err(error) => is_passing(&error),
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted)
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

fn group_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn end(child: &mut Child) {
    let group = group_of(child);
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
    fn hear_out(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                (self.watch)(String::from_utf8_lossy(&self.line).trim_end());
                self.line.clear();
            }
        }
        keep(&mut self.out, bytes);
    }

    fn finish(self, code: i32) -> Output {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output { code, stdout: text(self.out), stderr: text(self.err) }
    }
}

/// Keeps bytes, as far as there is room.
fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = MOST_OUTPUT.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
}

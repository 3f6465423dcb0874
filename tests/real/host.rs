//! A Debian system to work on: in a directory, or booted from it. It is gone when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::requirements;

pub type Result<T = ()> = std::result::Result<T, String>;

/// What a program said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Fails unless the program ended with this code.
    pub fn expect(self, code: i32) -> Result<Said> {
        if self.code == code {
            return Ok(self);
        }
        Err(format!("exit code {} instead of {code}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err))
    }
}

/// Runs a program and waits for it.
pub fn run(argv: &[&str]) -> Result<Said> {
    let output = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .env_remove("RUST_BACKTRACE")
        .output()
        .map_err(|error| format!("{}: {error}", argv[0]))?;
    Ok(Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Whether real hosts can be had here; a failure if they cannot and `PROVISION_REAL_TESTS=required`.
pub fn can_be_had() -> std::result::Result<bool, ExitCode> {
    let missing = missing_tools();
    if !missing.is_empty() && requirements::are_required() {
        eprintln!("real hosts are required, but there is no {}", missing.join(", no "));
        return Err(ExitCode::FAILURE);
    }
    Ok(missing.is_empty())
}

fn missing_tools() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        missing.push("root user");
    }
    for tool in ["mmdebstrap", "systemd-nspawn"] {
        if run(&["which", tool]).is_ok_and(|said| said.code != 0) {
            missing.push(tool);
        }
    }
    missing
}

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn provision() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let built = test.ancestors().nth(2).expect("target/debug/deps").join("provision");
    assert!(built.exists(), "build the command line first: cargo build -p provision-cli");
    built
}

/// The program that needs nothing of the host, not even its C library.
fn static_provision() -> Result<PathBuf> {
    let target = cache().parent().ok_or("target/debian")?.to_owned();
    let built = target.join("x86_64-unknown-linux-gnu/release/provision");
    if built.exists() { Ok(built) } else { Err("build the static command line first: cargo static".to_owned()) }
}

fn cache() -> PathBuf {
    let target = std::env::current_exe().expect("a test has a path");
    target.ancestors().nth(3).expect("target/debug/deps").join("debian")
}

/// A freshly installed Debian in a directory, copied from one that is made once.
pub struct Directory {
    place: tempfile::TempDir,
}

impl Directory {
    pub fn new(release: &str) -> Result<Directory> {
        Directory::below(&cache(), release)
    }

    fn below(directory: &Path, release: &str) -> Result<Directory> {
        let base = pristine(release)?;
        let place = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
        let root = place.path().join("root");
        run(&["cp", "-a", "--reflink=auto", text(&base), text(&root)])?.expect(0)?;
        let host = Directory { place };
        std::fs::copy(provision(), host.root().join("usr/local/bin/provision")).map_err(|error| error.to_string())?;
        run(&["cp", "-r", text(&repository().join("examples")), text(&host.root().join("root"))])?.expect(0)?;
        Ok(host)
    }

    pub fn root(&self) -> PathBuf {
        self.place.path().join("root")
    }

    pub fn write(&self, path: &str, content: &str) -> Result {
        std::fs::write(self.root().join(path.trim_start_matches('/')), content)
            .map_err(|error| format!("{path}: {error}"))
    }

    /// Runs the program of this build on the directory, from outside.
    pub fn provision(&self, arguments: &[&str]) -> Result<Said> {
        let program = provision();
        let root = self.root();
        let mut argv = vec![text(&program), "--root", text(&root)];
        argv.extend(arguments);
        run(&argv)
    }

    /// As [`provision`](Directory::provision), without waiting for it.
    pub fn start(&self, arguments: &[&str]) -> Result<Child> {
        in_background(Command::new(provision()).arg("--root").arg(self.root()).args(arguments))
    }

    /// Runs a program inside.
    pub fn inside(&self, argv: &[&str]) -> Result<Said> {
        let root = self.root();
        let mut whole = vec!["chroot", text(&root)];
        whole.extend(argv);
        run(&whole)
    }
}

/// A minimal installation of a release, made once and never changed.
fn pristine(release: &str) -> Result<PathBuf> {
    let base = cache().join(release);
    if base.join("etc/debian_version").exists() {
        return Ok(base);
    }
    std::fs::create_dir_all(cache()).map_err(|error| error.to_string())?;
    let fresh = cache().join(format!("{release}.new"));
    run(&["rm", "-rf", text(&fresh)])?.expect(0)?;
    let include = "--include=systemd,systemd-sysv,dbus,passwd,apt,ca-certificates";
    run(&["mmdebstrap", "--variant=minbase", include, release, text(&fresh)])?.expect(0)?;
    std::fs::rename(&fresh, &base).map_err(|error| error.to_string())?;
    Ok(base)
}

/// A booted Debian. Its services have a network of their own, so that several hosts use the same ports; what is run inside by
/// a test uses that of this machine, so that apt(8) reaches its archive.
pub struct Booted {
    directory: Directory,
    nspawn: Child,
    init: String,
}

impl Booted {
    pub fn new(release: &str) -> Result<Booted> {
        Booted::from(Directory::new(release)?)
    }

    /// One with the program that is linked statically.
    #[allow(dead_code, reason = "not every test has so much to do")]
    pub fn with_static_program(release: &str) -> Result<Booted> {
        let directory = Directory::new(release)?;
        let place = directory.root().join("usr/local/bin/provision");
        std::fs::copy(static_provision()?, place).map_err(|error| error.to_string())?;
        Booted::from(directory)
    }

    /// One whose files lie in memory, so that the disk is not waited for.
    #[allow(dead_code, reason = "not every test has so much to do")]
    pub fn in_memory(release: &str) -> Result<Booted> {
        Booted::from(Directory::below(Path::new("/dev/shm"), release)?)
    }

    fn from(directory: Directory) -> Result<Booted> {
        let nspawn = Command::new("systemd-nspawn")
            .args([
                "-q",
                "--register=no",
                "--keep-unit",
                "--console=pipe",
                "--private-network",
                "--resolv-conf=copy-host",
            ])
            .args(["-b", "-D", text(&directory.root())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("systemd-nspawn: {error}"))?;
        let mut host = Booted { directory, nspawn, init: String::new() };
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(250));
            let parent = host.nspawn.id().to_string();
            host.init = run(&["pgrep", "-o", "-P", &parent])?.out.trim().to_owned();
            if host.init.is_empty() {
                continue;
            }
            let state = host.inside(&["systemctl", "is-system-running"])?.out;
            if matches!(state.trim(), "running" | "degraded") {
                return Ok(host);
            }
        }
        Err(format!("{} did not boot within 60 seconds", host.directory.root().display()))
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Runs a program inside.
    pub fn inside(&self, argv: &[&str]) -> Result<Said> {
        let mut whole = vec!["nsenter", "-t", &self.init, "-m", "-u", "-i", "-p", "-r", "-w", "--"];
        whole.extend(argv);
        run(&whole)
    }

    /// Whether something listens on a port of its network.
    #[allow(dead_code, reason = "not every test has so much to do")]
    pub fn listens_on(&self, port: u16) -> Result<bool> {
        let connects = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
        Ok(run(&["nsenter", "-t", &self.init, "-n", "--", "bash", "-c", &connects])?.code == 0)
    }

    pub fn provision(&self, arguments: &[&str]) -> Result<Said> {
        let mut argv = vec!["/usr/local/bin/provision"];
        argv.extend(arguments);
        self.inside(&argv)
    }

    /// Runs the program of this build, which must succeed, and tells which programs it starts.
    #[allow(dead_code, reason = "not every test has so much to do")]
    pub fn programs_started(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let trace = self.directory.place.path().join("trace");
        let mut argv = vec!["strace", "-f", "-qq", "-e", "trace=execve", "-o", text(&trace)];
        argv.extend([
            "nsenter",
            "-t",
            &self.init,
            "-m",
            "-u",
            "-i",
            "-p",
            "-r",
            "-w",
            "--",
            "/usr/local/bin/provision",
        ]);
        argv.extend(arguments);
        run(&argv)?.expect(0)?;
        let trace = std::fs::read_to_string(&trace).map_err(|error| error.to_string())?;
        let started = trace.lines().filter(|line| line.contains("execve(") && line.ends_with("= 0"));
        let programs = started.filter_map(|line| line.split('"').nth(1)).map(str::to_owned);
        Ok(programs.filter(|name| !name.ends_with("/nsenter") && !name.ends_with("/provision")).collect())
    }

    /// As [`provision`](Booted::provision), without waiting for it: the program is the child of the one that is given.
    pub fn start(&self, arguments: &[&str]) -> Result<Child> {
        let inside = ["-t", &self.init, "-m", "-u", "-i", "-p", "-r", "-w", "--", "/usr/local/bin/provision"];
        in_background(Command::new("nsenter").args(inside).args(arguments))
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // Without its first process nothing of the container is left.
        if !self.init.is_empty() {
            let _ = run(&["kill", "-KILL", &self.init]);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.nspawn.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

/// Starts a program whose words are kept until its end is waited for.
fn in_background(command: &mut Command) -> Result<Child> {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    piped.spawn().map_err(|error| error.to_string())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

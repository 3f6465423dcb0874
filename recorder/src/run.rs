//! Running programs, outside and inside of a root directory.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// How long a program may take inside of a root directory: a script that waits for a service would wait forever.
const SECONDS: &str = "600";

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended well.
    pub success: bool,
    /// What it wrote.
    pub output: String,
    /// What it complained about.
    pub errors: String,
}

/// Runs a program and waits for it.
pub fn run<S: AsRef<OsStr>>(argv: &[S]) -> Result<Said, String> {
    let [program, arguments @ ..] = argv else { return Err("there is nothing to run".into()) };
    finish(Command::new(program).args(arguments))
}

/// Runs a program that has to end well.
pub fn must<S: AsRef<OsStr>>(argv: &[S]) -> Result<String, String> {
    let said = run(argv)?;
    if said.success {
        return Ok(said.output);
    }
    let line: Vec<_> = argv.iter().map(|word| word.as_ref().to_string_lossy()).collect();
    Err(format!("`{}` failed: {}", line.join(" "), tail(&said.errors)))
}

/// The last lines of what a program complained about.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

/// Makes a namespace for a root directory: without a network, with a name that is always the same, with processes that
/// end with it. What lies in `$2` is seen in its place for package files.
const ENTER: &str = r#"
root=$1; archives=$2; shift 2
mount -t proc proc "$root/proc" && mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" 2>/dev/null
mount --bind "$archives" "$root/var/cache/apt/archives"
hostname debian
ip link set lo up 2>/dev/null
chroot "$root" "$@"
"#;

/// Runs a program in a root directory, apart from the machine.
pub fn inside(root: &Path, archives: &Path, argv: &[&str]) -> Result<Said, String> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", SECONDS]);
    command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net"]);
    command.args(["sh", "-c", ENTER, "sh"]).arg(root).arg(archives).args(argv);
    finish(&mut command)
}

/// Runs a program in a root directory, with the network of the machine.
pub fn online(root: &Path, argv: &[&str]) -> Result<Said, String> {
    finish(Command::new("chroot").arg(root).args(argv))
}

fn finish(command: &mut Command) -> Result<Said, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/root")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Without it sudo is not removed where root has no password.
        .env("SUDO_FORCE_REMOVE", "yes")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no program `{program}`; install it"),
            _ => format!("`{program}` cannot be started: {error}"),
        })?;
    Ok(Said {
        success: output.status.success(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_says_what_it_said() {
        assert_eq!(must(&["printf", "a b"]).unwrap(), "a b");
        assert_eq!(
            must(&["sh", "-c", "echo why >&2; exit 3"]).unwrap_err(),
            "`sh -c echo why >&2; exit 3` failed: why"
        );
        assert!(run(&["no-such-program"]).unwrap_err().contains("no program"));
    }
}

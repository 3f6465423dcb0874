//! A throw-away view of the host, for programs that only look: they see files as effects would leave them, and whatever they write
//! themselves is gone with them.
//!
//! It is a mount namespace of one thread (see `mount_namespaces(7)`) in which each file system that holds files lies beneath
//! an overlay whose upper layer is in memory. The network, processes and the kernel's settings are those of the host.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{FchmodatFlags, Mode as Permissions, SFlag, fchmodat, fstat};
use nix::unistd::{Gid, Uid, chdir, chown, chroot, fchdir, mkdir};

use super::confined::{Root, path_of};
use super::{LocalHost, command};
use crate::effect::{Command, Effect, Output};
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// Where the layers are mounted, out of sight of the program: the first of these directories that is there.
const ROOMS: [&str; 3] = ["/tmp", "/mnt", "/run"];

/// File systems of the kernel, which the view has as they are.
const OF_THE_KERNEL: [&str; 3] = ["proc", "sys", "dev"];

impl LocalHost {
    /// Runs a command that sees the host as these effects would leave it, and changes none of its files.
    pub(super) fn run_in_view(&self, command: &Command, staged: &[Effect]) -> Result<Output> {
        std::thread::scope(|scope| {
            let run = || {
                enter(&self.system.directory).while_doing(|| "making a throw-away view of the host")?;
                let root = Root::open(Path::new("/"))?;
                for effect in staged {
                    self.carry_out_in(&root, effect).while_doing(|| format!("showing what `{effect}` would do"))?;
                }
                command::run(command, None, command::Rest::Ends, &|_| {}).while_doing(|| format!("running {command}"))
            };
            let thread = std::thread::Builder::new().spawn_scoped(scope, run)?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Gives this thread a view of the host in a directory as its root.
fn enter(directory: &Path) -> Result<()> {
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).map_err(refused)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).map_err(refused)?;
    // All are opened before one of them is covered.
    let places = places(directory)?;
    let kernel = OF_THE_KERNEL.map(|name| open_place(&Path::new("/").join(name)));
    let room = ROOMS.iter().find(|room| Path::new(room).is_dir()).copied().unwrap_or("/");
    mount(Some("tmpfs"), room, Some("tmpfs"), MsFlags::empty(), Some("mode=0700"))?;
    let room = Path::new(room);
    let view = room.join("view");
    mkdir(&view, Permissions::from_bits_truncate(0o755))?;
    for (number, (place, source)) in places.iter().enumerate() {
        let target = if place.as_os_str().is_empty() { view.clone() } else { view.join(place) };
        cover(source, &target, room, number).while_doing(|| format!("covering /{}", place.display()))?;
    }
    for (name, source) in OF_THE_KERNEL.iter().zip(kernel) {
        let target = view.join(name);
        if let Some(source) = source? {
            // Not every root directory has a place for them.
            match mkdir(&target, Permissions::from_bits_truncate(0o755)) {
                Ok(()) | Err(Errno::EEXIST) => bind(&source, &target, MsFlags::MS_REC)?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    chroot(&view)?;
    chdir("/")?;
    Ok(())
}

/// The directory and what is mounted beneath it, by paths from there; all but file systems of the kernel. Of what is mounted at one
/// place, the last counts.
fn places(directory: &Path) -> Result<BTreeMap<PathBuf, OwnedFd>> {
    #[expect(clippy::disallowed_methods, reason = "`/proc` belongs to this host, not to the root directory")]
    let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").map_err(|error| Error::io(&error))?;
    let beneath = mounts.lines().filter_map(|line| {
        let point = PathBuf::from(unescaped(line.split(' ').nth(4)?));
        let place = point.strip_prefix(directory).ok()?.to_owned();
        let is_of_the_kernel = OF_THE_KERNEL.iter().any(|name| place.starts_with(name));
        (!is_of_the_kernel && place.as_os_str() != "").then_some(place)
    });
    let mut places = BTreeMap::new();
    for place in std::iter::once(PathBuf::new()).chain(beneath) {
        // One that lies beneath another mount is not seen.
        if let Some(source) = open_place(&directory.join(&place))? {
            places.insert(place, source);
        }
    }
    Ok(places)
}

fn open_place(path: &Path) -> Result<Option<OwnedFd>> {
    match open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Permissions::empty()) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::ENOENT | Errno::EACCES | Errno::ESTALE) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Lays a writable layer in memory over a file system; one that cannot be beneath another, or a file that is mounted, is there and cannot
/// be written.
fn cover(source: &OwnedFd, target: &Path, room: &Path, number: usize) -> Result<()> {
    let stat = fstat(source)?;
    let is_directory = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR;
    if is_directory {
        let layers = ["upper", "work"].map(|layer| room.join(format!("{layer}{number}")));
        for layer in &layers {
            mkdir(layer, Permissions::S_IRWXU)?;
            chown(layer, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
            fchmodat(AT_FDCWD, layer, Permissions::from_bits_truncate(stat.st_mode), FchmodatFlags::FollowSymlink)?;
        }
        // The text of options has no place for a path with a comma or a colon.
        fchdir(source)?;
        let [upper, work] = layers;
        let options = format!("lowerdir=.,upperdir={},workdir={}", upper.display(), work.display());
        let covered = mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
        if covered.is_ok() || number == 0 {
            return Ok(covered?);
        }
    }
    bind(source, target, MsFlags::empty())?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    Ok(mount(None::<&str>, target, None::<&str>, read_only, None::<&str>)?)
}

fn bind(source: &OwnedFd, target: &Path, how: MsFlags) -> Result<()> {
    Ok(mount(Some(path_of(source).as_str()), target, None::<&str>, MsFlags::MS_BIND | how, None::<&str>)?)
}

/// A path of `/proc/self/mountinfo`, in which blanks and the like are octal numbers; see `proc_pid_mountinfo(5)`.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match number {
            Some(number) => text.push(char::from(number)),
            None => text.push('\\'),
        }
        text.push_str(part.get(3..).filter(|_| number.is_some()).unwrap_or(part));
    }
    text
}

fn refused(errno: Errno) -> Error {
    match errno {
        Errno::EPERM if !Uid::effective().is_root() => {
            Error::new(ErrorKind::PermissionDenied, "only root can show a program another host than it is")
        }
        errno => Error::new(ErrorKind::Unsupported, format!("no mount namespace can be had here: {errno}"))
            .with_hint("a container has to be allowed to mount (CAP_SYS_ADMIN)"),
    }
}

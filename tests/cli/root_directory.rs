//! Real files, in a root directory: as root, and where the file system objects.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::requirements::{self, Missing, given};
use crate::{Place, provision};

const SITE: &str = r#"{ resources = {
  directory."/srv/data" = { mode = "2775" },
  file."/srv/data/a.conf" = { content = "a\n", mode = "0640" },
  symlink."/srv/current".target = "data",
} }"#;

/// What a root directory must say of itself: without it, it is refused.
pub const OS_RELEASE: &str = "ID=debian\n";

/// A root directory with the name of its system, account files and nothing else. It takes root's rights.
pub fn place(site: &str) -> Result<Place, Missing> {
    requirements::root()?;
    let accounts = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n";
    let place = Place::with(site).file("root/etc/os-release", OS_RELEASE);
    Ok(place.file("root/etc/passwd", accounts).file("root/etc/group", "root:x:0:\nnogroup:x:65534:\n"))
}

/// Puts programs and the libraries that they need into the root directory.
pub fn copy_programs(place: &Place, programs: &[&str]) {
    for program in programs {
        let found = ["/bin", "/usr/bin"].iter().map(|directory| format!("{directory}/{program}"));
        let path = found.into_iter().find(|path| Path::new(path).exists()).unwrap();
        let needs = Command::new("ldd").arg(&path).output().unwrap();
        let needs = String::from_utf8(needs.stdout).unwrap();
        let libraries = needs.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned);
        for file in libraries.chain([path]) {
            let copy = place.path("root").join(file.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(file, copy).unwrap();
        }
    }
}

#[test]
fn a_unit_that_is_not_behind_its_mask_cannot_be_enabled() {
    let place = given!(place("{ resources.service.app = { running = false, enabled = true } }"));
    let units = place.path("root/etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    symlink("/dev/null", units.join("app.service")).unwrap();
    let plan = place.run("plan --root root site.ncl");
    assert_eq!(plan.code, 1, "{}", plan.seen());
    assert!(plan.out.contains("there is no unit app.service"), "{}", plan.seen());
    // It is only hidden.
    let file = place.path("root/usr/lib/systemd/system");
    fs::create_dir_all(&file).unwrap();
    fs::write(file.join("app.service"), "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
        .unwrap();
    assert_eq!(place.run("plan --root root site.ncl").code, 0);
}

/// Where no service manager runs, the files of units are read as it would read them.
#[test]
fn in_a_root_directory_units_are_enabled_as_their_files_and_links_say() {
    let site = r#"{ resources = {
        service.only-alias = {}, service.nick = {}, service.upheld = {}, service.oldie = {}, service.dropped = {},
        service.gone = { running = false, enabled = false },
    } }"#;
    let place = given!(place(site));
    let units = place.path("root/etc/systemd/system");
    let service = |install: &str| format!("[Service]\nExecStart=/bin/true\n{install}");
    for (name, install) in [
        ("only-alias.service", "[Install]\nAlias=other.service\n"),
        ("real.service", "[Install]\nAlias=nick.service\nWantedBy=multi-user.target\n"),
        ("upheld.service", "[Install]\nUpheldBy=multi-user.target\n"),
        ("dropped.service", ""),
    ] {
        fs::create_dir_all(&units).unwrap();
        fs::write(units.join(name), service(install)).unwrap();
    }
    let write = |path: &str, text: &str, mode: u32| {
        let path = place.path("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("etc/systemd/system/dropped.service.d/boot.conf", "[Install]\nWantedBy=multi-user.target\n", 0o644);
    write("etc/init.d/oldie", "#!/bin/sh\n", 0o755);
    let plan = place.run("plan --root root site.ncl");
    assert!(plan.out.contains("Plan: 5 to change, 1 in sync."), "{}", plan.seen());
    // What enabling them makes.
    fs::create_dir_all(units.join("multi-user.target.wants")).unwrap();
    fs::create_dir_all(units.join("multi-user.target.upholds")).unwrap();
    fs::create_dir_all(place.path("root/etc/rc5.d")).unwrap();
    for (target, link) in [
        ("/etc/systemd/system/only-alias.service", "other.service"),
        ("/etc/systemd/system/real.service", "nick.service"),
        ("/etc/systemd/system/real.service", "multi-user.target.wants/real.service"),
        ("/etc/systemd/system/upheld.service", "multi-user.target.upholds/upheld.service"),
        ("/etc/systemd/system/dropped.service", "multi-user.target.wants/dropped.service"),
        ("../init.d/oldie", "../../rc5.d/S01oldie"),
        ("/etc/systemd/system/gone.service", "multi-user.target.wants/gone.service"),
    ] {
        symlink(target, units.join(link)).unwrap();
    }
    let plan = place.run("plan --root root site.ncl");
    assert!(plan.out.contains("Plan: 1 to change, 5 in sync."), "{}", plan.seen());
    assert!(plan.out.contains("~ service:gone"), "{}", plan.seen());
}

#[test]
fn files_converge_drift_and_are_mended() {
    let place = given!(place(SITE));
    let first = place.run("apply --root root site.ncl");
    assert_eq!(first.code, 0, "{}", first.seen());
    let file = fs::metadata(place.path("root/srv/data/a.conf")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid()), (0o640, 0));
    assert_eq!(fs::metadata(place.path("root/srv/data")).unwrap().mode() & 0o7777, 0o2775);
    assert_eq!(fs::read_link(place.path("root/srv/current")).unwrap(), Path::new("data"));
    let inode = file.ino();
    let second = place.run("apply --root root site.ncl");
    assert!(second.out.starts_with("Nothing to do: 3 in sync"), "{}", second.seen());
    assert_eq!(
        fs::metadata(place.path("root/srv/data/a.conf")).unwrap().ino(),
        inode,
        "nothing is written if nothing differs"
    );

    fs::write(place.path("root/srv/data/a.conf"), "b\n").unwrap();
    fs::set_permissions(place.path("root/srv/data"), fs::Permissions::from_mode(0o700)).unwrap();
    let drift = place.run("plan --root root --detailed-exitcode site.ncl");
    assert_eq!(drift.code, 2);
    insta::assert_snapshot!("drift", drift.seen());
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(place.run("plan --root root --detailed-exitcode site.ncl").code, 0);
    let names: Vec<_> =
        fs::read_dir(place.path("root/srv/data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.conf"], "no temporary file is left");
}

#[test]
fn a_tree_is_owned_and_purged_and_links_in_it_are_not_followed() {
    let site = r#"{ resources = {
      directory."/srv/app" = { owner = "nobody", group = "nogroup", mode = "0750", recurse = true, purge = true },
      file."/srv/app/etc/kept.conf".content = "kept\n",
    } }"#;
    let place = given!(place(site));
    for directory in ["root/srv/app/etc", "root/srv/app/old/deep", "root/outside"] {
        fs::create_dir_all(place.path(directory)).unwrap();
    }
    for file in ["root/srv/app/etc/stray", "root/srv/app/old/deep/file", "root/outside/precious"] {
        fs::write(place.path(file), "x").unwrap();
    }
    symlink("/outside", place.path("root/srv/app/link")).unwrap();
    let plan = place.run("plan --root root site.ncl");
    insta::assert_snapshot!("purge", plan.seen());
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(place.run("plan --root root --detailed-exitcode site.ncl").code, 0);
    assert!(place.path("root/outside/precious").exists(), "a link is removed, not what it leads to");
    assert_eq!(fs::metadata(place.path("root/outside")).unwrap().uid(), 0);
    let mut left: Vec<_> =
        fs::read_dir(place.path("root/srv/app")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["etc"]);
    assert_eq!(fs::read_to_string(place.path("root/srv/app/etc/kept.conf")).unwrap(), "kept\n");
    assert_eq!(fs::metadata(place.path("root/srv/app")).unwrap().uid(), 65534);
}

/// A file of 6 GB with nothing in it was refused for lack of space.
#[test]
fn a_sparse_file_is_kept_and_put_back_sparse() {
    let place = given!(place("{ resources.file.\"/srv/disk.img\".ensure = 'absent }"));
    fs::create_dir_all(place.path("root/srv")).unwrap();
    let at = place.path("root/srv/disk.img");
    let file = fs::File::create(&at).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", 40 << 20).unwrap();
    file.set_len(100 << 20).unwrap();
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert!(!at.exists());
    let kept = fs::read_dir(place.path("root/var/lib/provision/blobs")).unwrap();
    let sizes: Vec<u64> = kept.map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() == 1 && sizes[0] < 64 << 10, "{sizes:?}");
    let ran = place.run("rollback --root root");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    let (found, mut bytes) = (fs::metadata(&at).unwrap(), [0; 6]);
    assert_eq!(found.len(), 100 << 20);
    assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
    fs::File::open(&at).unwrap().read_exact_at(&mut bytes, 40 << 20).unwrap();
    assert_eq!(&bytes, b"middle");
}

#[test]
fn a_file_is_written_once_validated_and_backed_up() {
    let place = given!(place("{ resources.file.\"/etc/a\" = { content = \"new\\n\", backup = true } }"));
    let place = place.file("once.ncl", "{ resources.file.\"/etc/a\" = { content = \"other\\n\", replace = 'once } }");
    fs::write(place.path("root/etc/a"), "old\n").unwrap();
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    assert_eq!(fs::read_to_string(place.path("root/etc/a")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(place.path("root/etc/.a.provision.bak")).unwrap(), "old\n");
    assert_eq!(place.run("plan --root root --detailed-exitcode once.ncl").code, 0, "it is there already");
}

#[test]
fn no_link_leads_out_of_the_root() {
    let place = given!(place("{ resources.file.\"/etc/out/x\".content = \"inside\" }"));
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), place.path("root/etc/out")).unwrap();
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{}", ran.seen());
    // The link's text is a path of the host, so the file lies below the root.
    let inside = place.path("root").join(outside.path().strip_prefix("/").unwrap()).join("x");
    assert!(ran.code != 0 || inside.exists(), "{}", ran.seen());
}

#[test]
fn a_link_that_another_user_made_is_not_followed() {
    let place = given!(place("{ resources.file.\"/home/eve/link/x\".content = \"secret\" }"));
    fs::create_dir_all(place.path("root/home/eve")).unwrap();
    fs::create_dir_all(place.path("root/etc/target")).unwrap();
    symlink("/etc/target", place.path("root/home/eve/link")).unwrap();
    for path in ["root/home/eve", "root/home/eve/link"] {
        std::os::unix::fs::lchown(place.path(path), Some(65534), Some(65534)).unwrap();
    }
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    assert!(!place.path("root/etc/target/x").exists());
    insta::assert_snapshot!("foreign_link", ran.seen());
}

#[test]
fn without_rights_nothing_happens() {
    let place = given!(place("{ resources.file.\"/etc/a\".content = \"a\" }"));
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path("provision");
    fs::copy(provision(), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program);
    let ran = place.start(command.args(["apply", "--root", "root", "site.ncl"]), "");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    assert!(!place.path("root/etc/a").exists());
    insta::assert_snapshot!("no_rights", ran.seen());
}

/// A file system that is gone again when this is dropped.
pub struct Mount(std::path::PathBuf);

impl Mount {
    pub fn tmpfs(at: &Path, options: &str) -> Mount {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status().unwrap();
        assert!(done.success(), "a tmpfs can be mounted");
        Mount(at.to_owned())
    }

    /// Shows a file or directory in the place of another.
    pub fn bind(from: &Path, at: &Path) -> Mount {
        let done = Command::new("mount").arg("--bind").args([from, at]).status().unwrap();
        assert!(done.success(), "a bind mount can be made");
        Mount(at.to_owned())
    }

    /// Shows a directory in the place of another, where nothing of it can be changed.
    pub fn bind_read_only(from: &Path, at: &Path) -> Mount {
        let mount = Mount::bind(from, at);
        let done = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(at).status().unwrap();
        let is_read_only = fs::write(at.join("written"), "").is_err();
        assert!(done.success() && is_read_only, "a bind mount can be made read-only");
        mount
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_the_old_file_whole() {
    let big = "x".repeat(200_000);
    let place = given!(place(&format!("{{ resources.file.\"/small/a\".content = \"{big}\" }}")));
    let _mount = Mount::tmpfs(&place.path("root/small"), "size=64k");
    fs::write(place.path("root/small/a"), "old\n").unwrap();
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    assert_eq!(fs::read_to_string(place.path("root/small/a")).unwrap(), "old\n");
    assert_eq!(fs::read_dir(place.path("root/small")).unwrap().count(), 1, "no temporary file is left");
    insta::assert_snapshot!("full_disk", ran.seen());
}

#[test]
fn a_read_only_file_system_is_named() {
    let place = given!(place("{ resources.file.\"/ro/a\".content = \"a\" }"));
    let _mount = Mount::tmpfs(&place.path("root/ro"), "ro");
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    insta::assert_snapshot!("read_only", ran.seen());
}

#[test]
fn a_root_that_is_none() {
    let place = Place::with("{ resources = {} }");
    let ran = place.run("plan --root absent site.ncl");
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!("absent_root", ran.seen());
}

#[test]
fn commands_run_in_a_root_directory_that_is_named_from_here() {
    let site =
        r#"{ resources.file."/etc/a" = { content = "a", validate = "sh -c 'read line <$0; test $line = a' %" } }"#;
    let place = given!(place(site));
    copy_programs(&place, &["sh"]);
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
}

/// What was seen through the link before it moved is no news of where it leads afterwards.
#[test]
fn a_file_beneath_a_link_that_moves_in_the_same_run_is_put_where_it_then_leads() {
    let site = r#"{ resources = {
        symlink."/srv/current".target = "v2",
        file."/srv/current/app.conf".content = "the same\n",
    } }"#;
    let place = given!(place(site));
    let place = place.file("root/srv/v1/app.conf", "the same\n").file("root/srv/v2/other", "");
    symlink("v1", place.path("root/srv/current")).unwrap();
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert_eq!(fs::read_to_string(place.path("root/srv/v2/app.conf")).unwrap(), "the same\n");
    let again = place.run("apply --root root site.ncl");
    assert!(again.out.starts_with("Nothing to do"), "{}", again.seen());
}

#[test]
fn a_name_of_a_file_cannot_erase_or_forge_lines_of_a_plan() {
    let site = r#"{ resources = {
      directory."/srv/app" = { owner = "root", recurse = true, purge = true },
      file."/etc/motd".content = "new\n",
    } }"#;
    let place = given!(place(site));
    fs::create_dir_all(place.path("root/srv/app")).unwrap();
    for name in
        ["zz\u{1b}[10F\u{1b}[JNothing to do", "a\n+ file:/etc/forged", "\u{202e}cba", "@all **x** [l](http://x)"]
    {
        // A slash is no part of a name.
        fs::write(place.path("root/srv/app").join(name.replace('/', "_")), "x").unwrap();
    }
    fs::write(place.path("root/etc/motd"), "old\u{1b}]0;title\u{7}\n").unwrap();
    for arguments in ["plan", "-v plan", "-v apply", "show", "rollback --plan", "rollback --keep-changed"] {
        let site = if arguments.ends_with("plan") && !arguments.contains("rollback") || arguments.contains("apply") {
            "site.ncl"
        } else {
            ""
        };
        let ran = place.run(&format!("--color never {arguments} --root root {site}"));
        let seen = ran.seen();
        assert!(!seen.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{seen:?}");
        assert!(!seen.lines().any(|line| line.starts_with("+ file:_etc_forged")), "{seen}");
    }
    let markdown = place.run("--format markdown plan --root root site.ncl").out;
    let bare = markdown.split('`').step_by(2).collect::<String>();
    assert!(!bare.contains("@all") && !markdown.contains('\u{1b}'), "{markdown}");
}

#[test]
fn what_is_too_long_is_refused_where_it_is_said() {
    let place = Place::with(r#"{ resources.file."/etc/a" = { content = "a", timeout = "9223372036854775807s" } }"#);
    let ran = place.run("validate --simulate site.ncl");
    assert_eq!(ran.code, 3, "{}", ran.seen());
    assert!(ran.err.contains("at most 36500 days"), "{}", ran.seen());
    let ran = place.run("apply --simulate --lock-timeout 18446744073709551615 site.ncl");
    assert_eq!(ran.code, 64, "{}", ran.seen());
}

#[test]
fn completions_end_quietly_on_a_closed_pipe() {
    let mut child = Command::new(provision())
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// The text was shown with its line breaks as `\\n`, and the other side as a record.
#[test]
fn a_content_that_is_no_text_is_told_by_its_size_beside_a_text() {
    let site = r#"{ resources.file = {
      "/etc/a".content = "one\ntwo\n",
      "/etc/b".source = "binary",
    } }"#;
    let place = given!(place(site));
    fs::write(place.path("binary"), b"\xff\xfe\0").unwrap();
    fs::write(place.path("root/etc/a"), b"\xff\xfe twelve by").unwrap();
    fs::write(place.path("root/etc/b"), "old\ntext").unwrap();
    let seen = ["plan", "plan --format markdown"].map(|plan| place.run(&format!("{plan} --root root site.ncl")).seen());
    insta::assert_snapshot!("no_text", seen.join("\n"));
    let json: serde_json::Value =
        serde_json::from_str(&place.run("plan --format json --root root site.ncl").out).unwrap();
    let steps = json.pointer("/steps").or_else(|| json.pointer("/plan/steps")).unwrap();
    assert_eq!(steps[0]["changes"][0]["from"], "<binary, 12 bytes>", "{json:#}");
    assert_eq!(steps[1]["changes"][0]["to"], "<binary, 3 bytes>", "{json:#}");
}

/// It had said nothing at all, and of a long text only the end.
#[test]
fn a_check_that_refuses_a_content_is_told_with_all_that_it_says() {
    let site = r#"{ resources.file = {
      "/etc/silent" = { content = "a\n", validate = "sh -c 'exit 7' %" },
      "/etc/talking" = { content = "a\n", validate = "sh -c 'for n in 1 2 3 4 5 6 7 8 9; do echo $n a; echo $n b; echo $n c; done; exit 1' %" },
      "/etc/slow" = { content = "a\n", validate = "sh -c 'sleep 9' %", timeout = "1s" },
    } }"#;
    let place = given!(place(site));
    copy_programs(&place, &["sh", "sleep"]);
    let ran = place.run("apply --jobs 1 --root root site.ncl");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    assert!(ran.out.contains("| exit code 7\n"), "{}", ran.seen());
    assert!(
        ran.out.contains("| 1 a\n") && ran.out.contains("9 more lines") && ran.out.contains("| 9 c\n"),
        "{}",
        ran.seen()
    );
    assert!(ran.out.contains("it took longer than its timeout of 1s"), "{}", ran.seen());
    for name in ["silent", "talking", "slow"] {
        assert!(!place.path(&format!("root/etc/{name}")).exists());
    }
}

/// A validation of five files: the third is wrong. The validator writes a log, as `nginx -t` does.
const VALIDATED: &str = r#"{ resources = {
  validation.app = {
    command = ["sh", "-c", "cat /etc/app/*.conf > /var/log/app.log; sleep $(cat /etc/app/pause); ! grep -n wrong /etc/app/*.conf"],
    paths = ["/etc/app"],
  },
  directory."/var/log" = {},
  file = {
    "/etc/app/1.conf".content = "one\n", "/etc/app/2.conf".content = "two\n", "/etc/app/3.conf".content = "THIRD\n",
    "/etc/app/4.conf".content = "four\n", "/etc/app/5.conf".content = "five\n", "/etc/app/pause".content = "PAUSE\n",
  },
} }"#;

fn validated(third: &str, pause: &str) -> Result<Place, Missing> {
    let place = place(&VALIDATED.replace("THIRD", third).replace("PAUSE", pause))?;
    copy_programs(&place, &["sh", "cat", "grep", "sleep"]);
    Ok(place)
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

#[test]
fn of_files_that_are_judged_together_none_lands_if_one_is_wrong() {
    let place = given!(validated("wrong", "0"));
    let before = mounts();
    let ran = place.run("apply --jobs 1 --root root site.ncl");
    assert_eq!(ran.code, 1, "{}", ran.seen());
    assert!(ran.out.contains("/etc/app/3.conf:1:wrong"), "{}", ran.seen());
    insta::assert_snapshot!("validation", ran.seen());
    assert!(!place.path("root/etc/app").exists());
    assert!(!place.path("root/var/log/app.log").exists(), "what a validator writes is thrown away");
    let right = place.file("right.ncl", &VALIDATED.replace("THIRD", "three").replace("PAUSE", "0"));
    let ran = right.run("apply --root root right.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert_eq!(fs::read_to_string(right.path("root/etc/app/3.conf")).unwrap(), "three\n");
    assert!(!right.path("root/var/log/app.log").exists());
    assert_eq!(mounts(), before, "no mount is left");
}

/// A mount of its own, a path with a blank, and a file that is mounted: the view has them all, and changes none.
#[test]
fn a_validator_sees_what_is_mounted_in_the_root_directory() {
    let place = given!(validated("three", "0"));
    let (data, file) = (place.path("root/etc/app"), place.path("root/etc/hostname"));
    fs::create_dir_all(&data).unwrap();
    fs::write(&file, "").unwrap();
    fs::write(place.path("name"), "mounted\n").unwrap();
    let _data = Mount::tmpfs(&data, "size=1m");
    let _file = Mount::bind(&place.path("name"), &file);
    let odd = place.path("root/srv/a b,c:d");
    fs::create_dir_all(&odd).unwrap();
    let _odd = Mount::tmpfs(&odd, "size=1m");
    fs::write(odd.join("x"), "odd\n").unwrap();
    let look =
        "cat /etc/hostname '/srv/a b,c:d/x' /etc/app/9.conf /proc/version; echo litter > '/srv/a b,c:d/y'; exit 1";
    let site = format!(
        "{{ resources.validation.app = {{ command = [\"sh\", \"-c\", \"{look}\"], paths = [\"/etc/app\"] }},
            resources.file.\"/etc/app/9.conf\".content = \"nine\\n\" }}"
    );
    let place = place.file("look.ncl", &site);
    let ran = place.run("plan --root root look.ncl");
    for seen in ["mounted", "odd", "nine", "Linux version"] {
        assert!(ran.out.contains(seen), "{seen}: {}", ran.seen());
    }
    assert!(!odd.join("y").exists() && !data.join("9.conf").exists());
}

/// Whatever kills the run inside of the validator: no mount is left, no file has landed, and the next run does it all.
#[test]
fn a_run_that_dies_inside_of_a_validator_leaves_nothing() {
    let place = given!(validated("three", "3"));
    let before = mounts();
    let mut child = Command::new(provision())
        .args(["apply", "--root", "root", "site.ncl"])
        .current_dir(place.directory.path())
        .env("HOME", place.directory.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The plan judges for three seconds, and the run again.
    std::thread::sleep(std::time::Duration::from_secs(5));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(mounts(), before);
    assert!(!place.path("root/etc/app/1.conf").exists() && !place.path("root/var/log/app.log").exists());
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
}

/// The model of a host held all that a rollback puts back: several times the size of a sparse file.
#[test]
fn a_rollback_of_a_large_file_does_not_hold_its_content() {
    let place = given!(place("{ resources.file.\"/srv/large\".content = \"small\\n\" }"));
    fs::create_dir_all(place.path("root/srv")).unwrap();
    let large = place.path("root/srv/large");
    fs::File::create(&large).unwrap().set_len(512 << 20).unwrap();
    assert_eq!(place.run("apply --root root site.ncl").code, 0);
    let line = "ulimit -v 400000; exec \"$0\" rollback --root root";
    let ran = place.start(Command::new("sh").args(["-c", line]).arg(provision()), "");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    assert_eq!(fs::metadata(&large).unwrap().len(), 512 << 20);
}

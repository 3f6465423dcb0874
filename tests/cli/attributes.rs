//! Access control lists, capabilities, flags and links of files, seen by the programs of others.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::Place;
use crate::requirements::{Missing, given, programs};
use crate::root_directory::{self, Mount};

/// A root directory, and the programs that look at what is special about files.
fn place(site: &str) -> Result<Place, Missing> {
    programs(&["getfacl", "setfacl", "getcap", "setcap", "lsattr", "chattr"])?;
    root_directory::place(site)
}

/// What a program says.
fn says(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The entries of an access control list, in one line.
fn acl(path: &Path) -> String {
    let lines = says("getfacl", &["--omit-header", "--numeric", "--absolute-names", "--no-effective"], path);
    lines.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn flags(path: &Path) -> String {
    let line = says("lsattr", &["-d"], path);
    line.split(' ').next().unwrap_or_default().replace(['-', 'e'], "")
}

/// No temporary file lies in a directory.
fn is_tidy(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".provision"))
}

fn applied(place: &Place) -> String {
    let ran = place.run("apply --root root site.ncl");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    let again = place.run("plan --root root --detailed-exitcode site.ncl");
    assert_eq!(again.code, 0, "{}", again.seen());
    ran.out
}

const SITE: &str = r#"{ resources = {
  directory."/srv/drop" = {
    mode = "2770",
    acl = { "user:nobody" = "rwx" },
    default_acl = { "user:nobody" = "rw-" },
  },
  file."/srv/drop/app.conf" = {
    content = "a\n",
    mode = "0660",
    acl = { "user:nobody" = "rw-", "user:4711" = "r--", "group:" = "r--" },
  },
  file."/srv/server" = { content = "server\n", mode = "0755", capabilities = "cap_net_bind_service,cap_net_raw=ep" },
} }"#;

#[test]
fn lists_and_capabilities_are_those_that_other_programs_see() {
    let place = given!(place(SITE));
    let (directory, file) = (place.path("root/srv/drop"), place.path("root/srv/drop/app.conf"));
    applied(&place);
    let of_directory = "user::rwx user:65534:rwx group::rwx mask::rwx other::--- \
                        default:user::rwx default:user:65534:rw- default:group::rwx default:mask::rwx default:other::---";
    assert_eq!(acl(&directory), of_directory);
    assert_eq!(acl(&file), "user::rw- user:4711:r-- user:65534:rw- group::r-- mask::rw- other::---");
    let server = place.path("root/srv/server");
    assert!(says("getcap", &[], &server).trim().ends_with("cap_net_bind_service,cap_net_raw=ep"));

    // What others have changed is seen and mended, and only that.
    let done = Command::new("setfacl").args(["-m", "u:1234:rwx"]).arg(&file).status().unwrap();
    assert!(done.success());
    assert!(Command::new("setcap").arg("-r").arg(&server).status().unwrap().success());
    let inode = fs::metadata(&file).unwrap().ino();
    let drift = place.run("plan --root root --detailed-exitcode site.ncl");
    assert_eq!(drift.code, 2);
    insta::assert_snapshot!("attribute_drift", drift.seen());
    applied(&place);
    assert_eq!(acl(&file), "user::rw- user:4711:r-- user:65534:rw- group::r-- mask::rw- other::---");
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode, "the content was not written again");
    assert!(says("getcap", &[], &server).contains("cap_net_raw"));
}

#[test]
fn new_content_keeps_what_is_not_declared() {
    let site = r#"{ resources.file."/srv/a" = { content = "new\n", mode = "0640" } }"#;
    let place = given!(place(site));
    let place = place.file("root/srv/a", "old\n");
    let file = place.path("root/srv/a");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    for (program, arguments) in
        [("setfacl", ["-m", "u:4711:r"]), ("setcap", ["cap_net_raw=ep", ""]), ("chattr", ["+dA", ""])]
    {
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        assert!(Command::new(program).args(arguments).arg(&file).status().unwrap().success(), "{program}");
    }
    xattr::set(&file, "user.note", b"kept").unwrap();
    let before = (acl(&file), flags(&file), says("getcap", &[], &file));
    applied(&place);
    assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
    assert_eq!((acl(&file), flags(&file), says("getcap", &[], &file)), before);
    assert_eq!(xattr::get(&file, "user.note").unwrap().unwrap(), b"kept");
    // And an undo brings all of it back, on the old content.
    assert_eq!(place.run("rollback --root root").code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "old\n");
    assert_eq!((acl(&file), flags(&file), says("getcap", &[], &file)), before);
}

#[test]
fn an_immutable_file_changes_only_if_that_is_declared() {
    let place = given!(place(r#"{ resources.file."/srv/a".content = "new\n" }"#));
    let place = place.file("root/srv/a", "old\n");
    let file = place.path("root/srv/a");
    let chattr = |flag: &str| assert!(Command::new("chattr").arg(flag).arg(&file).status().unwrap().success());
    chattr("+i");
    let refused = place.run("apply --root root site.ncl");
    assert_eq!((refused.code, fs::read_to_string(&file).unwrap().as_str()), (1, "old\n"));
    assert!(is_tidy(&place.path("root/srv")));
    insta::assert_snapshot!("immutable", refused.seen());
    let declared =
        r#"{ resources.file."/srv/a" = { content = "new\n", flags = { immutable = true, no_dump = true } } }"#;
    fs::write(place.path("site.ncl"), declared).unwrap();
    applied(&place);
    assert_eq!((fs::read_to_string(&file).unwrap().as_str(), flags(&file).as_str()), ("new\n", "id"));
    // Only its mode: the flag is lifted for that as well.
    fs::write(place.path("site.ncl"), declared.replace("flags", "mode = \"0600\", flags")).unwrap();
    applied(&place);
    assert_eq!((fs::metadata(&file).unwrap().mode() & 0o777, flags(&file).as_str()), (0o600, "id"));
    for run in ["2", "3"] {
        let undone = place.run("rollback --root root --keep-changed");
        assert_eq!(undone.code, 0, "{run}: {}", undone.seen());
    }
    chattr("-i");
}

#[test]
fn an_immutable_file_that_was_made_here_can_be_undone_and_removed() {
    let site = r#"{ resources.file."/srv/a" = { content = "a", flags.immutable = true } }"#;
    let place = given!(place(site));
    let file = place.path("root/srv/a");
    applied(&place);
    assert_eq!(flags(&file), "i");
    let undone = place.run("rollback --root root");
    assert_eq!(undone.code, 0, "{}", undone.seen());
    assert!(!file.exists());
    applied(&place);
    fs::write(place.path("site.ncl"), r#"{ resources.file."/srv/a" = { ensure = 'absent, flags.immutable = true } }"#)
        .unwrap();
    applied(&place);
    assert!(!file.exists());
}

#[test]
fn other_names_of_a_file_keep_the_old_content_or_forbid_the_new() {
    let place = given!(place(r#"{ resources.file."/srv/a" = { content = "new", hard_links = 'refuse } }"#));
    let place = place.file("root/srv/a", "old");
    fs::hard_link(place.path("root/srv/a"), place.path("root/srv/b")).unwrap();
    let refused = place.run("apply --root root site.ncl");
    assert_eq!(refused.code, 1);
    insta::assert_snapshot!("hard_links", refused.seen());
    fs::write(place.path("site.ncl"), r#"{ resources.file."/srv/a".content = "new" }"#).unwrap();
    applied(&place);
    assert_eq!(fs::read_to_string(place.path("root/srv/a")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(place.path("root/srv/b")).unwrap(), "old");
}

#[test]
fn what_is_mounted_on_a_file_is_left_whole() {
    let place = given!(place(r#"{ resources.file."/srv/a".content = "new" }"#));
    let place = place.file("root/srv/a", "beneath").file("root/srv/b", "mounted");
    let mount = Mount::bind(&place.path("root/srv/b"), &place.path("root/srv/a"));
    let refused = place.run("apply --root root site.ncl");
    assert_eq!(refused.code, 1);
    insta::assert_snapshot!("busy", refused.seen());
    assert_eq!(fs::read_to_string(place.path("root/srv/a")).unwrap(), "mounted");
    assert!(is_tidy(&place.path("root/srv")));
    drop(mount);
    assert_eq!(fs::read_to_string(place.path("root/srv/a")).unwrap(), "beneath");
}

#[test]
fn a_link_in_the_place_is_refused_followed_or_replaced() {
    let site = |links: &str| {
        format!(
            r#"{{ resources.file."/srv/app/current/a" = {{ content = "new", owner = "nobody", links = '{links} }} }}"#
        )
    };
    let place = given!(place(&site("refuse")));
    let place = place.file("root/srv/app/1/real", "old");
    symlink("1", place.path("root/srv/app/current")).unwrap();
    symlink("real", place.path("root/srv/app/1/a")).unwrap();
    for path in ["root/srv/app", "root/srv/app/current"] {
        std::os::unix::fs::lchown(place.path(path), Some(65534), Some(65534)).unwrap();
    }
    // Both links are followed: the file that they lead to is the user's too.
    std::os::unix::fs::chown(place.path("root/srv/app/1/real"), Some(65534), None).unwrap();
    let link = || fs::symlink_metadata(place.path("root/srv/app/1/a")).unwrap().is_symlink();
    let real = || fs::read_to_string(place.path("root/srv/app/1/real")).unwrap();
    let refused = place.run("plan --root root site.ncl");
    assert!(refused.out.contains("is a symbolic link that user 65534 made"), "{}", refused.seen());
    fs::write(place.path("site.ncl"), site("follow")).unwrap();
    let planned = place.run("-v plan --root root site.ncl");
    assert!(planned.out.contains("write /srv/app/1/real"), "{}", planned.seen());
    applied(&place);
    assert!(link() && real() == "new\n");
    // Root's own link on the way: then only the one in the place itself matters.
    for path in ["root/srv/app", "root/srv/app/current"] {
        std::os::unix::fs::lchown(place.path(path), Some(0), Some(0)).unwrap();
    }
    fs::write(place.path("site.ncl"), site("refuse")).unwrap();
    let refused = place.run("plan --root root site.ncl");
    assert!(refused.out.contains("a symbolic link to real is in the place"), "{}", refused.seen());
    fs::write(place.path("site.ncl"), site("replace")).unwrap();
    applied(&place);
    assert!(!link() && real() == "new\n");
}

#[test]
fn mistakes_in_attributes_are_told_all_at_once() {
    let site = r#"{ resources.file."/srv/a" = {
      mode = "0640",
      acl = { "user:deploy" = "rw-", "nobody" = "r--", "other:" = "r--", "group:adm" = "rq" },
      capabilities = "cap_net_bind_servise=ep",
      flags = { imutable = true },
    } }"#;
    let ran = Place::with(site).run("validate site.ncl");
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!("attribute_mistakes", ran.seen());
}

#[test]
fn a_file_system_without_flags_or_lists_is_told_of() {
    let site = r#"{ resources.file."/small/a" = { content = "new", flags.immutable = true } }"#;
    let place = given!(place(site));
    // ramfs has neither.
    fs::create_dir_all(place.path("root/small")).unwrap();
    let mounted = Command::new("mount").args(["-t", "ramfs", "ramfs"]).arg(place.path("root/small")).status().unwrap();
    assert!(mounted.success());
    let ran = place.run("apply --root root site.ncl");
    let left = is_tidy(&place.path("root/small"));
    fs::write(place.path("site.ncl"), site.replace("flags.immutable = true", "acl.\"user:nobody\" = \"r--\"")).unwrap();
    let list = place.run("apply --root root site.ncl");
    assert!(Command::new("umount").arg(place.path("root/small")).status().unwrap().success());
    assert_eq!((ran.code, list.code, left), (1, 1, true));
    insta::assert_snapshot!("without_attributes", format!("{}\n{}", ran.seen(), list.seen()));
}

#[test]
fn a_program_of_a_user_does_not_become_a_program_of_root() {
    let site = r#"{ resources.directory."/srv/www" = { owner = "root", group = "root", recurse = true } }"#;
    let place = given!(place(site));
    let place = place.file("root/srv/www/prog", "#");
    let program = place.path("root/srv/www/prog");
    std::os::unix::fs::chown(&program, Some(4711), Some(4711)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    applied(&place);
    let found = fs::metadata(&program).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o755));
}

#[test]
fn a_declared_set_user_id_survives_a_change_of_owner() {
    let site = |owner: &str| format!(r#"{{ resources.file."/srv/a" = {{ owner = "{owner}", mode = "4755" }} }}"#);
    let place = given!(place(&site("root")));
    applied(&place);
    fs::write(place.path("site.ncl"), site("nobody")).unwrap();
    applied(&place);
    let found = fs::metadata(place.path("root/srv/a")).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (65534, 0o4755));
}

#[test]
fn a_list_that_a_user_planted_lets_no_one_in() {
    let site = r#"{ resources.file = {
      "/srv/drop/a" = { content = { secret = "env:TOKEN" }, mode = "0640" },
      "/srv/drop/b" = { content = { secret = "env:TOKEN" }, mode = "0640" },
      "/srv/drop/c" = { content = "c", owner = "root", group = "root", mode = "0640" },
    } }"#;
    let place = given!(place(site));
    let place = place.file("root/srv/drop/a", "").file("root/srv/drop/c", "");
    let setfacl = |arguments: &[&str], path: &str| {
        let path = place.path(path);
        std::os::unix::fs::chown(&path, Some(4711), Some(4711)).unwrap();
        assert!(Command::new("setfacl").args(arguments).arg(path).status().unwrap().success());
    };
    setfacl(&["-m", "u:4711:r"], "root/srv/drop/a");
    setfacl(&["-m", "u:4711:r"], "root/srv/drop/c");
    setfacl(&["-d", "-m", "u:4711:rwx"], "root/srv/drop");
    let ran = place.run_with("apply --root root site.ncl", &[("TOKEN", "hunter2")], "");
    assert_eq!(ran.code, 0, "{}", ran.seen());
    for name in ["a", "b", "c"] {
        let list = acl(&place.path(&format!("root/srv/drop/{name}")));
        assert_eq!(list, "user::rw- group::r-- other::---", "{name}");
    }
}

#[test]
fn a_copy_gives_no_one_more_than_its_original() {
    let site = |content: &str| {
        format!(
            r#"{{ resources.file."/srv/a" = {{
              content = "{content}", mode = "4750", backup = true, capabilities = "cap_net_raw=ep",
              acl = {{ "user:nobody" = "r--", "group:" = "---" }},
            }} }}"#
        )
    };
    let place = given!(place(&site("old")));
    applied(&place);
    fs::write(place.path("site.ncl"), site("new")).unwrap();
    applied(&place);
    let copy = place.path("root/srv/.a.provision.bak");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "old\n");
    assert_eq!(acl(&copy), "user::rwx user:65534:r-- group::--- mask::r-x other::---");
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o7000, 0);
    assert!(says("getcap", &[], &copy).is_empty());
}

#[test]
fn a_mode_changes_beside_a_declared_list() {
    let site = |mode: &str| {
        format!(r#"{{ resources.file."/srv/a" = {{ content = "a", mode = "{mode}", acl."user:nobody" = "r--" }} }}"#)
    };
    let place = given!(place(&site("0640")));
    for mode in ["0640", "0660", "0644"] {
        fs::write(place.path("site.ncl"), site(mode)).unwrap();
        applied(&place);
    }
}

#[test]
fn what_is_mounted_in_a_tree_keeps_all_of_it() {
    let place = given!(place(r#"{ resources.directory."/srv/old" = { ensure = 'absent, recurse = true } }"#));
    let place = place.file("root/srv/old/a/1", "1").file("root/srv/old/z/2", "2").file("root/srv/data/3", "3");
    let mounted = |place: &Place| {
        let refused = place.run("apply --root root site.ncl");
        assert_eq!(refused.code, 1, "{}", refused.seen());
        assert!(refused.out.contains("mounted on"), "{}", refused.seen());
    };
    {
        // From the same file system, so that the number of the device says nothing.
        let _mount = Mount::bind(&place.path("root/srv/data"), &place.path("root/srv/old/z"));
        mounted(&place);
    }
    {
        let _mount = Mount::bind(&place.path("root/srv/data/3"), &place.path("root/srv/old/z/2"));
        mounted(&place);
    }
    {
        let _mount = Mount::tmpfs(&place.path("root/srv/old"), "size=64k");
        fs::write(place.path("root/srv/old/4"), "4").unwrap();
        mounted(&place);
        assert!(place.path("root/srv/old/4").exists());
    }
    assert!(place.path("root/srv/old/a/1").exists() && place.path("root/srv/data/3").exists());
    applied(&place);
    assert!(!place.path("root/srv/old").exists());
}

#[test]
fn what_is_mounted_in_a_purged_directory_keeps_all_of_it() {
    let place = given!(place(r#"{ resources.directory."/srv/d".purge = true }"#));
    let place = place.file("root/srv/d/a/1", "1").file("root/srv/d/z/2", "2").file("root/srv/data/3", "3");
    {
        let _mount = Mount::bind(&place.path("root/srv/data"), &place.path("root/srv/d/z"));
        let refused = place.run("apply --root root site.ncl");
        assert_eq!(refused.code, 1, "{}", refused.seen());
        assert!(refused.out.contains("something is mounted on /srv/d/z"), "{}", refused.seen());
        assert!(place.path("root/srv/data/3").exists() && place.path("root/srv/d/a/1").exists());
    }
    applied(&place);
    assert_eq!(fs::read_dir(place.path("root/srv/d")).unwrap().count(), 0);
}

#[test]
fn names_that_are_not_utf_8_are_purged_and_come_back() {
    use std::os::unix::ffi::OsStrExt;
    let place = given!(place(r#"{ resources.directory."/srv/d" = { purge = true } }"#));
    let directory = place.path("root/srv/d/in");
    fs::create_dir_all(&directory).unwrap();
    let name = |bytes: &'static [u8]| directory.join(std::ffi::OsStr::from_bytes(bytes));
    fs::write(name(b"J\xF6rg"), "1").unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"to \xFF"), name(b"link")).unwrap();
    applied(&place);
    assert!(!directory.exists());
    let undone = place.run("rollback --root root");
    assert_eq!(undone.code, 0, "{}", undone.seen());
    assert_eq!(fs::read(name(b"J\xF6rg")).unwrap(), b"1");
    assert_eq!(fs::read_link(name(b"link")).unwrap().as_os_str().as_bytes(), b"to \xFF");
}

#[test]
fn a_chain_of_directories_longer_than_a_path_is_purged_and_removed() {
    let place = given!(place(r#"{ resources.directory."/srv/d".purge = true }"#));
    // Longer than a path may be.
    let make = || {
        use nix::fcntl::{OFlag, openat};
        let (name, all) = ("deep".repeat(12), nix::sys::stat::Mode::S_IRWXU);
        let mut here = nix::fcntl::open(&place.path("root/srv/d"), OFlag::O_DIRECTORY, all).unwrap();
        for _ in 0..150 {
            nix::sys::stat::mkdirat(&here, name.as_str(), all).unwrap();
            here = openat(&here, name.as_str(), OFlag::O_DIRECTORY, all).unwrap();
        }
    };
    fs::create_dir_all(place.path("root/srv/d")).unwrap();
    make();
    applied(&place);
    assert_eq!(fs::read_dir(place.path("root/srv/d")).unwrap().count(), 0);
    make();
    fs::write(place.path("site.ncl"), r#"{ resources.directory."/srv/d" = { ensure = 'absent, recurse = true } }"#)
        .unwrap();
    applied(&place);
    assert!(!place.path("root/srv/d").exists());
}

#[test]
fn a_pipe_as_source_is_refused_at_once() {
    let place = given!(place(r#"{ resources.file."/srv/a".source = "pipe" }"#));
    nix::unistd::mkfifo(&place.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for verb in ["validate site.ncl", "plan --root root site.ncl"] {
        let refused = place.run(verb);
        assert_eq!(refused.code, 3, "{}", refused.seen());
        assert!(refused.err.contains("it is not a regular file"), "{}", refused.seen());
    }
}

#[test]
fn an_immutable_file_is_pruned_and_a_locked_directory_stays_tidy() {
    let place = given!(place(r#"{ resources.file."/srv/a" = { content = "a", flags.immutable = true } }"#));
    applied(&place);
    fs::write(place.path("site.ncl"), "{ prune = true }").unwrap();
    applied(&place);
    assert!(!place.path("root/srv/a").exists());
    let locked = r#"{ resources = { directory."/srv/d".flags.append_only = true, file."/srv/d/a".content = "a" } }"#;
    fs::write(place.path("site.ncl"), locked).unwrap();
    let refused = place.run("validate site.ncl");
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("the site declares /srv/d/a"), "{}", refused.seen());
    fs::create_dir_all(place.path("root/srv/d")).unwrap();
    let chattr = |flag: &str| {
        assert!(Command::new("chattr").arg(flag).arg(place.path("root/srv/d")).status().unwrap().success())
    };
    chattr("+a");
    fs::write(place.path("site.ncl"), r#"{ resources.file."/srv/d/a".content = "a" }"#).unwrap();
    let refused = place.run("apply --root root site.ncl");
    let left = fs::read_dir(place.path("root/srv/d")).unwrap().count();
    chattr("-a");
    assert_eq!((refused.code, left), (1, 0), "{}", refused.seen());
    assert!(refused.out.contains("its directory is append-only"), "{}", refused.seen());
}

#[test]
fn a_huge_sparse_file_costs_nothing() {
    let place = given!(place(r#"{ resources.file."/srv/a".content = "a" }"#));
    let place = place.file("root/srv/a", "");
    fs::File::options().write(true).open(place.path("root/srv/a")).unwrap().set_len(1 << 40).unwrap();
    let planned = place.run("plan --root root --detailed-exitcode site.ncl");
    assert_eq!(planned.code, 2, "{}", planned.seen());
    assert_eq!(place.run("apply --root root site.ncl").code, 1, "the journal has no room for it");
}

#[test]
fn one_account_is_named_once_in_a_list() {
    let site = r#"{ resources.file."/srv/a" = { acl = { "user:nobody" = "r--", "user:65534" = "---" } } }"#;
    let place = given!(place(site));
    let refused = place.run("apply --root root site.ncl");
    assert_eq!(refused.code, 1);
    assert!(refused.out.contains("two entries of the list are of the same account, 65534"), "{}", refused.seen());
}

#[test]
fn an_undo_gives_no_rights_to_what_a_user_wrote_meanwhile() {
    let place = given!(place(r#"{ resources.directory."/srv/t" = { owner = "nobody", recurse = true } }"#));
    let place = place.file("root/srv/t/su", "root's");
    let program = place.path("root/srv/t/su");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    applied(&place);
    fs::write(&program, "the user's").unwrap();
    assert_eq!(place.run("rollback --root root").code, 0);
    let found = fs::metadata(&program).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o755));
}

#[test]
fn a_list_goes_with_the_owner_who_made_it() {
    let site = r#"{ resources = {
      directory."/srv/d".owner = "root",
      file."/srv/d/a" = { content = "same\n", owner = "root", mode = "0660" },
      file."/srv/d/new/b" = { content = "b", mode = "0660" },
    } }"#;
    let place = given!(place(site));
    let place = place.file("root/srv/d/a", "same\n");
    for (path, list) in [("root/srv/d/a", "u:4711:rw"), ("root/srv/d", "u:4711:rwx,d:u:4711:rwx")] {
        let path = place.path(path);
        std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
        assert!(Command::new("setfacl").args(["-m", list]).arg(path).status().unwrap().success());
    }
    applied(&place);
    for path in ["root/srv/d", "root/srv/d/a", "root/srv/d/new", "root/srv/d/new/b"] {
        assert!(!acl(&place.path(path)).contains("4711"), "{path}: {}", acl(&place.path(path)));
    }
}

#[test]
fn a_tree_with_an_immutable_file_stays_whole() {
    let place = given!(place(r#"{ resources.directory."/srv/t" = { ensure = 'absent, recurse = true } }"#));
    let place = place.file("root/srv/t/a/1", "1").file("root/srv/t/b/2", "2").file("root/srv/t/c/3", "3");
    let chattr = |flag: &str| {
        assert!(Command::new("chattr").arg(flag).arg(place.path("root/srv/t/b/2")).status().unwrap().success());
    };
    chattr("+i");
    let refused = place.run("apply --root root site.ncl");
    chattr("-i");
    assert_eq!(refused.code, 1);
    assert!(refused.out.contains("`2` in it is immutable"), "{}", refused.seen());
    assert!(["a/1", "b/2", "c/3"].iter().all(|name| place.path("root/srv/t").join(name).exists()));
    applied(&place);
}

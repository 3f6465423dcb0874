use super::*;
use crate::testing::{Site, converge, converge_in, in_words, mistakes};
use provision_core::host::{Host, HostView, HostViewExt};
use provision_core::sim::SimHost;

const WWW: &str = "/srv/www";

fn path(path: &str) -> HostPath {
    HostPath::new(path).unwrap()
}

fn set(host: &SimHost, at: &str, owner: &str, mode: u32) {
    let (owner, mode) = (Some(owner.to_owned()), Some(Mode::new(mode)));
    let attributes = AttributeChanges::default();
    host.perform(&Effect::SetMetadata { path: path(at), owner, group: None, mode, attributes }).unwrap();
}

fn link(host: &SimHost, at: &str, target: &str) {
    let (owner, group) = ("root".to_owned(), "root".to_owned());
    host.perform(&Effect::CreateSymlink { path: path(at), target: target.to_owned(), owner, group }).unwrap();
}

fn declaring(declared: &[&'static str]) -> Site {
    Site { declared: declared.to_vec(), ..Site::default() }
}

#[test]
fn a_directory_is_made_changed_and_removed() {
    let host = SimHost::debian(12).with_user("deploy");
    let effects = |directory| in_words(&converge(&host, WWW, directory).unwrap());
    assert_eq!(effects(Directory::default()), ["create directory /srv/www"]);
    assert!(effects(Directory::default()).is_empty());
    let shared = Directory { mode: Some(Mode::new(0o2775)), ..Directory::owned_by("deploy", "www-data") };
    assert_eq!(effects(shared.clone()), ["set owner deploy group www-data mode 2775 of /srv/www"]);
    let by_number = Directory { group: Some("33".into()), ..shared };
    assert!(effects(by_number).is_empty());
    assert_eq!(effects(Directory::absent()), ["remove /srv/www"]);
    assert!(effects(Directory::absent()).is_empty());
}

#[test]
fn directories_above_are_made_or_missed() {
    let host = SimHost::debian(12);
    assert_eq!(converge(&host, "/srv/a/b", Directory::default()).unwrap().len(), 2);
    let alone = Directory { parents: false, ..Directory::default() };
    let error = converge(&host, "/srv/x/y", alone).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "the directory /srv/x does not exist"));
}

#[test]
fn something_else_in_its_place_is_an_error() {
    let host = SimHost::debian(12).with_file("/srv/file", "");
    link(&host, "/srv/link", "/run");
    for directory in [Directory::default(), Directory::absent()] {
        let messages = ["/srv/file", "/srv/link"].map(|name| {
            let error = converge(&host, name, directory.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            error.message().to_owned()
        });
        insta::allow_duplicates! { insta::assert_debug_snapshot!(messages, @r#"
        [
            "a file is in the place of /srv/file",
            "a symbolic link to /run is in the place of /srv/link",
        ]
        "#); }
    }
}

#[test]
fn a_full_directory_is_removed_only_if_asked_for() {
    let host = SimHost::debian(12).with_file("/srv/www/a/b", "");
    let error = converge(&host, WWW, Directory::absent()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, "the directory /srv/www is not empty"));
    let tree = Directory { recurse: true, ..Directory::absent() };
    let error = converge_in(&host, WWW, tree.clone(), &declaring(&["/srv/www/a"])).unwrap_err();
    assert_eq!(error.message(), "/srv/www cannot be removed with all that is in it");
    let effects = converge_in(&host, WWW, tree, &declaring(&["/srv/www", "/srv/www-data"])).unwrap();
    assert_eq!(in_words(&effects), ["remove /srv/www and all beneath it"]);
}

#[test]
fn a_tree_with_a_mount_or_a_package_in_it_is_not_removed() {
    let host = SimHost::debian(12).with_mount("/srv/www/mnt").with_package("nginx");
    let tree = || Directory { recurse: true, ..Directory::absent() };
    let refused = |name: &str| {
        let error = converge(&host, name, tree()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        format!("{error}; {}", error.hint().unwrap())
    };
    insta::assert_debug_snapshot!([refused(WWW), refused("/etc/nginx")], @r#"
    [
        "something is mounted on /srv/www/mnt; unmount it, or declare what is mounted on /srv/www/mnt",
        "/etc/nginx/conf.d belongs to the package nginx-common; remove the package nginx-common first",
    ]
    "#);
}

#[test]
fn owner_and_group_apply_to_everything_beneath() {
    let host = SimHost::debian(12)
        .with_user("deploy")
        .with_file("/srv/www/page", "")
        .with_file("/srv/www/bin/run", "")
        .with_file("/srv/www/secret/key", "")
        .with_file("/srv/www/own/deep/file", "")
        .with_file("/srv/elsewhere", "");
    set(&host, "/srv/www/page", "root", 0o4600);
    set(&host, "/srv/www/bin/run", "deploy", 0o700);
    set(&host, "/srv/www/secret", "deploy", 0o700);
    link(&host, "/srv/www/link", "/srv/elsewhere");
    let site = declaring(&[WWW, "/srv/www/own", "/srv/www/secret/key"]);

    let tree = Directory { recurse: true, ..Directory::owned_by("deploy", "root") };
    let effects = converge_in(&host, WWW, tree.clone(), &site).unwrap();
    insta::assert_debug_snapshot!(in_words(&effects), @r#"
    [
        "set owner deploy of /srv/www",
        "set owner deploy of /srv/www/bin",
        "set owner deploy of /srv/www/link",
        "set owner deploy of /srv/www/page",
    ]
    "#);

    let modes = Directory { mode: Some(Mode::new(0o2755)), ..tree };
    let effects = converge_in(&host, WWW, modes, &site).unwrap();
    insta::assert_debug_snapshot!(in_words(&effects), @r#"
    [
        "set mode 2755 of /srv/www",
        "set mode 2755 of /srv/www/bin",
        "set mode 0755 of /srv/www/bin/run",
        "set mode 0644 of /srv/www/page",
        "set mode 2755 of /srv/www/secret",
    ]
    "#);
    let untouched = host.metadata(&path("/srv/elsewhere")).unwrap().unwrap();
    assert_eq!(untouched.access.owner, "root");
}

#[test]
fn what_is_mounted_beneath_keeps_its_owners() {
    let host = SimHost::debian(12).with_user("deploy").with_mount("/srv/www/mnt").with_file("/srv/www/mnt/a", "");
    let tree = Directory { recurse: true, ..Directory::owned_by("deploy", "deploy") };
    let effects = converge(&host, WWW, tree).unwrap();
    assert_eq!(in_words(&effects), ["set owner deploy group deploy of /srv/www"]);
}

#[test]
fn what_was_made_on_the_way_to_a_declared_path_is_left_alone() {
    let host = SimHost::debian(12).with_user("deploy").with_file("/srv/www/a/b", "");
    let tree = Directory { recurse: true, ..Directory::owned_by("deploy", "deploy") };
    let effects = converge_in(&host, WWW, tree, &declaring(&["/srv/www/a/b"])).unwrap();
    assert_eq!(in_words(&effects), ["set owner deploy group deploy of /srv/www"]);
}

#[test]
fn what_is_not_declared_is_purged() {
    let host = SimHost::debian(12)
        .with_package("nginx")
        .with_file("/etc/nginx/conf.d/site.conf", "")
        .with_file("/etc/nginx/conf.d/old.conf", "")
        .with_file("/etc/nginx/conf.d/old/deep/x", "")
        .with_file("/etc/nginx/conf.d/old-a", "")
        .with_file("/etc/nginx/conf.d/kept/declared", "")
        .with_file("/etc/nginx/conf.d/kept/other", "")
        .with_file("/etc/nginx/conf.d/whole/inner", "");
    link(&host, "/etc/nginx/conf.d/link", "/etc/nginx");
    let purged = Directory { purge: true, ..Directory::default() };
    let declared = ["site.conf", "kept/declared", "whole"].map(|name| format!("/etc/nginx/conf.d/{name}"));
    let declared: Vec<&'static str> = declared.into_iter().map(|path| &*path.leak()).collect();
    let effects = converge_in(&host, "/etc/nginx/conf.d", purged.clone(), &declaring(&declared)).unwrap();
    insta::assert_debug_snapshot!(in_words(&effects), @r#"
    [
        "remove /etc/nginx/conf.d/old/deep/x",
        "remove /etc/nginx/conf.d/old/deep",
        "remove /etc/nginx/conf.d/old.conf",
        "remove /etc/nginx/conf.d/old-a",
        "remove /etc/nginx/conf.d/old",
        "remove /etc/nginx/conf.d/link",
        "remove /etc/nginx/conf.d/kept/other",
    ]
    "#);

    // What a package ships stays, and so do the directories above it.
    let before = host.read_text("/etc/nginx/nginx.conf").unwrap();
    assert!(before.is_some());
    let host = host.with_file("/etc/nginx/sites-available/mine", "");
    let effects = in_words(&converge_in(&host, "/etc/nginx", purged, &declaring(&declared)).unwrap());
    // The link was made by a script of the package.
    assert_eq!(effects, ["remove /etc/nginx/sites-enabled/default", "remove /etc/nginx/sites-available/mine"]);
    assert_eq!(host.read_text("/etc/nginx/nginx.conf").unwrap(), before);
}

#[test]
fn what_will_be_purged_is_shown() {
    let host = SimHost::debian(12).with_file("/srv/www/a/b", "").with_file("/srv/www/c", "");
    let mut purged = Directory { purge: true, recurse: true, ..Directory::owned_by("root", "www-data") };
    let id = ResourceId::new("directory", WWW);
    purged.prepare(&id, &declaring(&["/srv/www/c"])).unwrap();
    insta::assert_json_snapshot!(purged.check(&CheckContext::new(&id, &host)).unwrap(), @r#"
    {
      "ensure": "present",
      "owner": "root",
      "group": "root",
      "mode": "0755",
      "unwanted": {
        "/srv/www/a": "directory",
        "/srv/www/a/b": "file"
      }
    }
    "#);
}

#[test]
fn a_mount_is_not_purged() {
    let host = SimHost::debian(12).with_mount("/srv/www/mnt").with_file("/srv/www/mnt/data", "");
    let purged = || Directory { purge: true, ..Directory::default() };
    let error = converge(&host, WWW, purged()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Refused, "something is mounted on /srv/www/mnt"));
    assert_eq!(converge_in(&host, WWW, purged(), &declaring(&["/srv/www/mnt"])).unwrap(), []);
    // The directory itself may be a mount point.
    let effects = converge(&host, "/srv/www/mnt", purged()).unwrap();
    assert_eq!(in_words(&effects), ["remove /srv/www/mnt/data"]);
}

#[test]
fn nothing_is_purged_before_the_site_is_known() {
    let host = SimHost::debian(12).with_file("/srv/www/a", "");
    let purged = Directory { purge: true, ..Directory::default() };
    let error = purged.check(&CheckContext::new(&ResourceId::new("directory", WWW), &host)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn directories_of_the_system_are_guarded() {
    let system = ["/", "/etc", "/etc/ssh", "/usr", "/usr/share", "/usr/local", "/lib64", "/var/lib/dpkg/info", "/home"];
    for name in system {
        assert_eq!(mistakes(name, &Directory { purge: true, ..Directory::default() }).len(), 1, "{name}");
        assert_eq!(mistakes(name, &Directory { recurse: true, ..Directory::absent() }).len(), 1, "{name}");
        assert!(mistakes(name, &Directory::default()).is_empty(), "{name}");
    }
    for name in
        ["/etc/sudoers.d", "/etc/apt/sources.list.d", "/srv/www", "/home/deploy", "/usr/local/bin", "/library/x"]
    {
        assert!(mistakes(name, &Directory { purge: true, ..Directory::default() }).is_empty(), "{name}");
    }
    assert_eq!(mistakes("/etc", &Directory { recurse: true, ..Directory::owned_by("root", "root") }).len(), 1);
    assert!(mistakes("/srv", &Directory { recurse: true, ..Directory::owned_by("root", "root") }).is_empty());
    let contradiction = Directory { purge: true, owner: Some("a:b".into()), ..Directory::absent() };
    insta::assert_debug_snapshot!(mistakes("srv", &contradiction), @r#"
    [
        ": a directory is named by its absolute path, and \"srv\" is not an absolute path",
        "owner: \"a:b\" is not the name of a user",
        "purge: a directory that is absent has nothing to purge",
    ]
    "#);
}

#[test]
fn what_is_left_out_has_a_default_and_nothing_may_be_added() {
    let directory: Directory = serde_json::from_str("{}").unwrap();
    insta::assert_json_snapshot!(directory, @r#"
    {
      "ensure": "present",
      "links": "refuse",
      "recurse": false,
      "purge": false,
      "parents": true
    }
    "#);
    assert!(serde_json::from_str::<Directory>(r#"{ "declared": [] }"#).is_err());
    let schema = schemars::schema_for!(Directory);
    assert!(schema.pointer("/properties/declared").is_none());
}

#[test]
fn what_is_unset_of_a_directory_is_kept_and_recursion_gives_only_what_is_declared() {
    let host = SimHost::debian(12).with_file("/srv/www/page", "").with_access(WWW, "www-data", "www-data", 0o2750);
    assert_eq!(converge(&host, WWW, Directory::default()).unwrap(), []);
    let group = Directory { group: Some("adm".into()), recurse: true, ..Directory::default() };
    let effects = in_words(&converge(&host, WWW, group).unwrap());
    assert_eq!(effects, ["set group adm mode 2750 of /srv/www", "set group adm of /srv/www/page"]);
    let new = "/srv/www/new";
    converge(&host, new, Directory::default()).unwrap();
    let Access { owner, group, mode } = host.metadata(&path(new)).unwrap().unwrap().access;
    assert_eq!((owner.as_str(), group.as_str(), mode.bits()), ("root", "adm", 0o755));
}

#[test]
fn recursion_without_anything_to_give_is_a_mistake() {
    let nothing = Directory { recurse: true, ..Directory::default() };
    assert_eq!(
        mistakes(WWW, &nothing),
        ["recurse: without an owner, a group or a mode there is nothing to recurse with"]
    );
    let mode = Directory { mode: Some(Mode::new(0o750)), ..nothing };
    assert!(mistakes(WWW, &mode).is_empty());
    assert!(mistakes(WWW, &Directory { recurse: true, ..Directory::absent() }).is_empty());
}

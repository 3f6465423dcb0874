use super::*;
use crate::testing::{converge, in_words, mistakes};
use provision_core::error::ErrorKind;
use provision_core::sim::SimHost;

const SITE: &str = "/etc/nginx/sites-enabled/site";

#[test]
fn a_link_is_made_replaced_and_removed() {
    let host = SimHost::debian(12).with_directory("/etc/nginx/sites-enabled");
    let effects = |link: Symlink| in_words(&converge(&host, SITE, link).unwrap());
    assert_eq!(
        effects(Symlink::to("../sites-available/site")),
        ["link /etc/nginx/sites-enabled/site to ../sites-available/site"]
    );
    assert!(effects(Symlink::to("../sites-available/site")).is_empty());
    // The text counts, not where it leads.
    let absolute = "/etc/nginx/sites-available/site";
    assert_eq!(effects(Symlink::to(absolute)), [format!("link {SITE} to {absolute}")]);
    assert_eq!(effects(Symlink::absent()), [format!("remove {SITE}")]);
    assert!(effects(Symlink::absent()).is_empty());
}

#[test]
fn owner_and_group_of_the_link_itself_are_set() {
    let host = SimHost::debian(12).with_user("deploy");
    converge(&host, "/srv/current", Symlink::to("releases/1")).unwrap();
    let owned = Symlink { owner: "deploy".into(), group: "deploy".into(), ..Symlink::to("releases/1") };
    let effects = converge(&host, "/srv/current", owned).unwrap();
    assert_eq!(in_words(&effects), ["set owner deploy group deploy of /srv/current"]);
}

#[test]
fn directories_above_are_made_or_missed() {
    let host = SimHost::debian(12);
    assert_eq!(converge(&host, "/srv/a/b", Symlink::to("c")).unwrap().len(), 2);
    let alone = Symlink { parents: false, ..Symlink::to("c") };
    assert_eq!(converge(&host, "/srv/x/y", alone).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn nothing_else_is_removed_without_being_asked() {
    let host =
        SimHost::debian(12).with_file("/srv/file", "x").with_directory("/srv/empty").with_file("/srv/full/x", "");
    let force = || Symlink { force: true, ..Symlink::to("/run") };
    for name in ["/srv/file", "/srv/empty", "/srv/full"] {
        for link in [Symlink::to("/run"), Symlink::absent()] {
            let error = converge(&host, name, link).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.hint().is_some());
        }
    }
    let error = converge(&host, "/srv/full", force()).unwrap_err();
    assert_eq!(error.message(), "a directory that is not empty is in the place of /srv/full");
    assert_eq!(in_words(&converge(&host, "/srv/file", force()).unwrap()), ["link /srv/file to /run"]);
    let effects = converge(&host, "/srv/empty", force()).unwrap();
    assert_eq!(in_words(&effects), ["remove /srv/empty", "link /srv/empty to /run"]);
    let host = host.with_file("/srv/f", "").with_directory("/srv/d");
    for name in ["/srv/f", "/srv/d"] {
        let gone = Symlink { force: true, ..Symlink::absent() };
        assert_eq!(in_words(&converge(&host, name, gone).unwrap()), [format!("remove {name}")]);
    }
}

#[test]
fn a_link_comes_after_what_it_leads_to() {
    let needs = |name: &str, target: &str| {
        let claims = Symlink::to(target).claims(&ResourceId::new("symlink", name));
        claims.last().map(|claim| claim.target.to_string())
    };
    assert_eq!(needs(SITE, "../sites-available/site").as_deref(), Some("path /etc/nginx/sites-available/site"));
    assert_eq!(needs(SITE, "./other").as_deref(), Some("path /etc/nginx/sites-enabled/other"));
    assert_eq!(needs("/a", "../../b/").as_deref(), Some("path /b"));
    assert_eq!(needs("/a", "/usr//lib").as_deref(), Some("path /usr/lib"));
}

#[test]
fn mistakes_are_found() {
    let all: Vec<String> = [
        ("/srv/a", Symlink::default()),
        ("/srv/a", Symlink::to("")),
        ("/srv/a", Symlink::to("a\0b")),
        ("/srv/a", Symlink::to("a".repeat(5000))),
        ("/srv/a", Symlink::to("../srv/a")),
        ("/srv/a", Symlink::to("a/b")),
        ("/", Symlink::to("/srv")),
        ("srv/a", Symlink { group: String::new(), ..Symlink::to("b") }),
    ]
    .iter()
    .flat_map(|(name, link)| mistakes(name, link))
    .collect();
    insta::assert_debug_snapshot!(all, @r#"
    [
        "target: a link needs a `target`",
        "target: the target is empty",
        "target: the target holds a NUL byte",
        "target: the target is longer than a path can be",
        "target: the link would lead to itself",
        "target: the link would lead to itself",
        ": the root directory cannot be a link",
        ": a symlink is named by its absolute path, and \"srv/a\" is not an absolute path",
        "group: \"\" is not the name of a group",
    ]
    "#);
}

use super::*;
use crate::testing::{converge, in_words, mistakes};
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const FILE: &str = "/etc/apt/preferences.d/backports.pref";

fn pin(packages: &[&str], pin: &str, priority: i64) -> AptPin {
    let packages = packages.iter().map(|name| (*name).to_owned()).collect();
    AptPin { packages, pin: Some(pin.into()), priority: Some(priority), ..AptPin::default() }
}

#[test]
fn a_pin_is_one_stanza() {
    let host = SimHost::debian(12);
    let declared = pin(&["nginx", "nginx-common"], "release n=bookworm-backports, c=main", 500).explanation("HTTP/3");
    converge(&host, "backports", declared).unwrap();
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r"
    # Managed by provision: apt_pin:backports
    Explanation: HTTP/3
    Package: nginx nginx-common
    Pin: release n=bookworm-backports, c=main
    Pin-Priority: 500
    ");
    // apt needs no other lists for it.
    assert!(converge(&host, "backports", AptPin { ensure: Ensure::Absent, ..AptPin::default() }).is_ok());
}

#[test]
fn a_pin_decides_which_version_the_model_installs() {
    let host = SimHost::debian(12);
    converge(&host, "never", pin(&["hello"], "release n=bookworm", -1)).unwrap();
    assert!(host.available_versions("hello").unwrap().is_empty());
}

#[test]
fn the_same_in_other_words_is_left() {
    let declared = || pin(&["bash"], "release n=trixie", 100);
    let there = |text: &str| SimHost::debian(12).with_file(FILE, text);
    for same in [
        "# mine\n\nPackage:  bash\nExplanation: why\npin: release n=trixie\nPin-Priority: 100\n\n",
        "Package: bash\nPin: release n=trixie\nPin-Priority: 100",
    ] {
        assert!(converge(&there(same), "backports", declared()).unwrap().is_empty(), "{same:?}");
    }
    for other in [
        "Package: bash\nPin: release n=trixie\nPin-Priority: 99\n",
        "Package: bash\n\nPin: release n=trixie\nPin-Priority: 100\n",
        "nonsense\n",
        "Explanation: x\n\nPackage: bash\nPin: release n=trixie\nPin-Priority: 100\n",
        "Package: bash\u{a0}\nPin: release n=trixie\nPin-Priority: 100\n",
        "",
    ] {
        let effects = converge(&there(other), "backports", declared()).unwrap();
        assert_eq!(in_words(&effects), [format!("write {FILE}")], "{other:?}");
    }
}

/// Each of these apt takes without a word, or with a warning and success, and it does not do what it says; or every command of
/// apt fails.
#[test]
fn what_apt_would_misread_is_a_mistake() {
    let said = |name: &str, declared: &AptPin| mistakes(name, declared).join("; ");
    for name in ["libstdc++6", "a@b", ".x", "a b", ""] {
        assert!(said(name, &pin(&["bash"], "release n=trixie", 1)).contains("passes over"), "{name}");
    }
    for (packages, wrong, priority) in [
        (&["bash"][..], "relase n=x", 1),
        (&["bash"], "release n=x l=Debian", 1),
        (&["bash"], "release codename=trixie", 1),
        (&["bash"], "release n=\"trixie\"", 1),
        (&["bash"], "release n=a, n=b", 1),
        (&["bash"], "release trixie", 1),
        (&["bash"], "origin http://deb.debian.org/debian", 1),
        (&["bash"], "version =5.2*", 1),
        (&["bash"], "version 5.1, 5.2", 1),
        (&["bash"], "version 5.2\nx", 1),
        (&["*"], "version 5.2", 1),
        (&["bash, hello"], "release n=x", 1),
        (&["Bash"], "release n=x", 1),
        (&["*", "bash"], "release n=x", 1),
        (&["/ba("], "release n=x", 1),
        (&["/[/"], "release n=x", 1),
        (&["a["], "release n=x", 1),
        (&["/^core utils/"], "release n=x", 1),
        (&["/z/\nPin: version 1\nPin-Priority: 1\n\nPackage: /q/"], "release n=x", 1),
        (&[], "release n=x", 1),
        (&["bash"], "release n=x", 0),
        (&["bash"], "release n=x", 40000),
    ] {
        assert!(!said("a", &pin(packages, wrong, priority)).is_empty(), "{packages:?} {wrong:?} {priority}");
    }
    for (packages, right) in [
        (&["*"][..], "origin \"\""),
        (&["php8.*", "src:linux", "libc6:i386", "/^ba/"], "release o=Debian Backports, a=stable-backports"),
        (&["g++-12"], "version /5\\.2/"),
        (&["nginx"], "origin *.example.org"),
    ] {
        assert_eq!(said("a-b_c.d", &pin(packages, right, -32768)), "", "{packages:?} {right:?}");
    }
    assert_eq!(mistakes("a", &AptPin::default()).len(), 3);
}

use super::*;
use crate::testing::{converge, mistakes};
use provision_core::host::HostViewExt;
use provision_core::sim::SimHost;

const PLACE: &str = "/etc/apt/sources.list.d/example.sources";

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn source() -> AptSource {
    AptSource {
        uris: words(&["https://packages.example.org/debian"]),
        suites: words(&["stable"]),
        components: words(&["main", "extra"]),
        signed_by: Some("example".into()),
        ..AptSource::default()
    }
}

#[test]
fn a_source_is_a_stanza_with_a_key_of_its_own() {
    let host = SimHost::debian(13);
    let options = [("By-Hash".to_owned(), Scalar::Flag(true)), ("Valid-Until-Max".to_owned(), Scalar::Number(86400))];
    let source = AptSource { architectures: words(&["amd64"]), options: options.into(), enabled: false, ..source() };
    converge(&host, "example", source).unwrap();
    insta::assert_snapshot!(host.read_text(PLACE).unwrap().unwrap(), @r"
    # Managed by provision: apt_source:example
    Enabled: no
    Types: deb
    URIs: https://packages.example.org/debian
    Suites: stable
    Components: main extra
    Architectures: amd64
    Signed-By: /etc/apt/keyrings/example.asc
    By-Hash: yes
    Valid-Until-Max: 86400
    ");
}

#[test]
fn the_same_fields_in_other_words_are_left_and_others_are_not() {
    let there = |text: &str| SimHost::debian(13).with_file(PLACE, text);
    let path = || AptSource { suites: words(&["./"]), components: Vec::new(), signed_by: None, ..source() };
    for same in [
        "Types: deb\nURIs: https://packages.example.org/debian\nSuites: ./\n",
        "# mine\n\nsuites:  ./\nTYPES:\n deb\n# between\nURIs: https://packages.example.org/debian\n\n",
    ] {
        assert!(converge(&there(same), "example", path()).unwrap().is_empty(), "{same:?}");
    }
    for other in [
        "Types: deb\nURIs: https://packages.example.org/debian\nSuites: ./\nTrusted: yes\n",
        "Types: deb\nURIs: https://packages.example.org/debian\nSuites: ./\nSuites: ./\n",
        "Types: deb\n\nURIs: https://packages.example.org/debian\nSuites: ./\n",
        "deb https://packages.example.org/debian ./\n",
    ] {
        assert_eq!(converge(&there(other), "example", path()).unwrap().len(), 1, "{other:?}");
    }
}

#[test]
fn what_would_break_every_command_of_apt_is_refused() {
    let of = |source: AptSource| mistakes("example", &source);
    assert_eq!(of(AptSource { components: Vec::new(), ..source() }), ["components: a suite has components"]);
    assert_eq!(of(AptSource { suites: words(&["./"]), ..source() }), ["components: a path has no components"]);
    assert_eq!(
        of(AptSource { suites: words(&["./", "stable"]), ..source() }),
        ["suites: some are paths and some are not"]
    );
    assert_eq!(of(AptSource::default()).len(), 2);
    assert_eq!(of(AptSource { uris: words(&["htp://x"]), ..source() }), ["uris.0: apt cannot fetch \"htp://x\""]);
    assert_eq!(
        of(AptSource { uris: words(&["https:///debian"]), ..source() }),
        ["uris.0: \"https:///debian\" names no host"]
    );
    assert_eq!(of(AptSource { suites: words(&["a b"]), ..source() }), ["suites.0: \"a b\" is not one word"]);
    assert_eq!(of(AptSource { types: words(&["rpm"]), ..source() }), ["types.0: \"rpm\" is no type of source"]);
}

#[test]
fn what_apt_would_pass_over_or_show_to_all_is_refused() {
    let of = |source: AptSource| mistakes("example", &source);
    let options = [("Signed-by".to_owned(), Scalar::Flag(true))].into();
    assert_eq!(of(AptSource { options, ..source() }), ["options.Signed-by: apt ignores the field \"Signed-by\""]);
    let secret = AptSource { uris: words(&["https://user:word@x.org/"]), ..source() };
    assert_eq!(of(secret), ["uris.0: all users could read the password in it"]);
    assert_eq!(mistakes("a b", &source()), [": apt ignores a file named \"a b\""]);
}

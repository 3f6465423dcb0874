use super::*;
use crate::testing::{converge, in_words, mistakes};
use provision_core::effect::{AttributeChanges, Removal};
use provision_core::host::{Host, HostExt, as_parents_are};
use provision_core::sim::SimHost;

const SOURCE: &str = "/etc/aliases.d/local";
const PRODUCT: &str = "/etc/aliases.db";

fn path(text: &str) -> HostPath {
    HostPath::new(text).unwrap()
}

fn aliases() -> Trigger {
    Trigger::new("newaliases", [path("/etc/aliases.d")]).products([path(PRODUCT)])
}

fn host() -> SimHost {
    SimHost::debian(13).with_file(SOURCE, "root: anna\n")
}

#[test]
fn products_are_made_once_and_again_when_a_source_has_changed_or_one_is_gone() {
    let host = host();
    let runs = |host: &SimHost| in_words(&converge(host, "aliases", aliases()).unwrap());
    let first = runs(&host);
    assert_eq!(first.last().map(String::as_str), Some("run newaliases"), "{first:?}");
    assert!(runs(&host).is_empty());
    // Whoever changes it, and however.
    host.write_text(SOURCE, "root: bert\n").unwrap();
    assert_eq!(runs(&host), ["run newaliases"]);
    assert!(runs(&host).is_empty());
    host.write_text("/etc/aliases.d/more", "").unwrap();
    assert_eq!(runs(&host), ["run newaliases"]);
    host.perform(&Effect::Remove { path: path(PRODUCT), what: Removal::File }).unwrap();
    assert_eq!(runs(&host), ["run newaliases"]);
    assert!(runs(&host).is_empty());
}

/// A host that was never managed so far is not changed because it cannot be known.
#[test]
fn times_decide_where_the_command_never_ran_under_the_resource() {
    let made = |host: SimHost| converge(&host, "aliases", aliases()).unwrap();
    let before = host();
    before.write_text(PRODUCT, "").unwrap();
    // It is only written down what the product was made from.
    let noted = in_words(&made(before));
    assert_eq!(noted.last().map(String::as_str), Some("write /var/lib/provision/triggers/aliases"), "{noted:?}");
    let later = SimHost::debian(13).with_file(PRODUCT, "");
    later
        .perform(&Effect::CreateDirectory {
            path: path("/etc/aliases.d"),
            access: as_parents_are(),
            attributes: AttributeChanges::default(),
        })
        .unwrap();
    later.write_text(SOURCE, "root: anna\n").unwrap();
    assert!(!made(later).is_empty(), "the source is the younger one");
    // Without products there are no times.
    let none = Trigger { products: Vec::new(), ..aliases() };
    assert!(!converge(&host(), "aliases", none).unwrap().is_empty());
}

#[test]
fn what_could_never_work_is_a_mistake() {
    let said = |trigger: &Trigger| mistakes("a", trigger).join("; ");
    insta::assert_snapshot!(
        [
            said(&Trigger::new("", [path("/a")])),
            said(&Trigger::new("x | y", [path("/a")])),
            said(&Trigger::new("x", [])),
            said(&Trigger::new("x", [path("/a")]).products([path("/a")])),
        ].join("\n"),
        @r"
    command: the command has no program
    command: '|' would need a shell, and commands run without one
    sources: nothing would ever change, so the command would run once
    products.0: /a is a source as well
    "
    );
    assert_eq!(mistakes("a/b", &aliases()).len(), 1);
}

#[test]
fn a_directory_is_no_product() {
    let error = converge(&host().with_file(&format!("{PRODUCT}/x"), ""), "aliases", aliases()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

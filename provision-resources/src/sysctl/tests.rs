use super::*;
use crate::testing::{converge, in_words as effects_in_words, mistakes};
use provision_core::sim::SimHost;
use provision_core::site::Site;

fn host() -> SimHost {
    SimHost::debian(13).with_directory("/etc/sysctl.d")
}

fn set(value: impl Into<Scalar>) -> Sysctl {
    Sysctl::new(value)
}

const FILE: &str = "/etc/sysctl.d/60-provision-vm.swappiness.conf";

#[test]
fn a_value_is_set_now_and_for_the_next_boot() {
    let host = host();
    let effects = converge(&host, "vm.swappiness", set(10_i64)).unwrap();
    assert_eq!(effects_in_words(&effects), ["set /proc/sys/vm/swappiness to 10", &format!("write {FILE}")]);
    assert_eq!(host.read_text("/proc/sys/vm/swappiness").unwrap().unwrap(), "10\n");
    insta::assert_snapshot!(host.read_text(FILE).unwrap().unwrap(), @r"
    # Managed by provision: sysctl:vm.swappiness
    vm.swappiness = 10
    ");
    assert!(converge(&host, "vm.swappiness", set("10")).unwrap().is_empty(), "a text is the same");
}

/// Ansible had told success where only one of the two was so.
#[test]
fn it_is_in_sync_only_if_both_the_file_and_the_kernel_are() {
    let by_hand = host().with_file("/proc/sys/vm/swappiness", "10\n");
    assert_eq!(effects_in_words(&converge(&by_hand, "vm.swappiness", set(10_i64)).unwrap()), [format!("write {FILE}")]);
    let lost = host().with_file(FILE, "vm.swappiness=10\n");
    let effects = converge(&lost, "vm.swappiness", set(10_i64)).unwrap();
    assert_eq!(effects_in_words(&effects), ["set /proc/sys/vm/swappiness to 10"]);
}

#[test]
fn values_are_compared_by_their_words_and_flags_are_numbers() {
    let effects = converge(&host(), "net.ipv4.tcp_rmem", set("4096 131072  6291456")).unwrap();
    assert_eq!(effects.len(), 1, "the kernel has tabs: {effects:?}");
    assert_eq!(converge(&host(), "net.ipv4.tcp_syncookies", set(true)).unwrap().len(), 1);
    assert_eq!(converge(&host(), "net.ipv4.ip_forward", set(true)).unwrap().len(), 2);
}

#[test]
fn a_key_is_the_same_in_either_notation() {
    assert_eq!(key_of("net.ipv4.conf.eth0/100.rp_filter"), "net/ipv4/conf/eth0.100/rp_filter");
    assert_eq!(key_of("net/ipv4/conf/eth0.100/rp_filter"), "net/ipv4/conf/eth0.100/rp_filter");
    let mut site = Site::new();
    site.declare("vm.swappiness", set(1_i64));
    site.declare("vm/swappiness", set(2_i64));
    let errors = format!("{:?}", site.into_graph().map(drop).unwrap_err().list);
    assert!(errors.contains("both own path /etc/sysctl.d/60-provision-vm.swappiness.conf"), "{errors}");
}

/// Debian 12 has such a file: what was set would be another value after the next boot.
#[test]
fn a_later_file_that_sets_another_value_is_named() {
    let later = "/usr/lib/sysctl.d/99-protect-links.conf";
    let host = || host().with_file(later, "fs.protected_fifos = 1\n#fs.protected_fifos = 2\n");
    let error = converge(&host(), "fs.protected_fifos", set(2_i64)).unwrap_err();
    assert_eq!(
        error.message(),
        format!("{later} is read after 60-provision-fs.protected_fifos.conf, so the value would be \"1\" after a boot")
    );
    assert!(converge(&host(), "fs.protected_fifos", set(2_i64).order(99_u8)).is_ok());
    assert!(converge(&host(), "fs.protected_fifos", set(1_i64)).is_ok(), "it says the same");
    let masked = host().with_link("/etc/sysctl.d/99-protect-links.conf", "/dev/null");
    assert!(converge(&masked, "fs.protected_fifos", set(2_i64)).is_ok());
    let linked = SimHost::debian(12)
        .with_file("/etc/sysctl.conf", "vm/swappiness=1\n")
        .with_link("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf");
    assert!(
        converge(&linked, "vm.swappiness", set(2_i64))
            .unwrap_err()
            .message()
            .starts_with("/etc/sysctl.d/99-sysctl.conf")
    );
}

#[test]
fn a_key_that_the_kernel_does_not_have_is_refused_unless_it_may_come_later() {
    let error = converge(&host(), "vm.swapiness", set(1_i64)).unwrap_err();
    assert_eq!(error.message(), "the kernel has no /proc/sys/vm/swapiness");
    let error = converge(&host(), "net.bridge.bridge-nf-call-iptables", set(1_i64)).unwrap_err();
    assert_eq!(error.hint(), Some("the module br_netfilter brings it: load it before, and at each boot"));
    let effects = converge(&host(), "net.ipv4.conf.wg0.rp_filter", set(1_i64).ignore_missing(true)).unwrap();
    assert_eq!(effects_in_words(&effects), ["write /etc/sysctl.d/60-provision-net.ipv4.conf.wg0.rp_filter.conf"]);
    assert!(converge(&host(), "net.ipv4.conf", set(1_i64)).unwrap_err().message().contains("a directory"));
    let write_only = host().with_file("/proc/sys/net/ipv4/route/flush", "");
    let write_only = write_only.with_access("/proc/sys/net/ipv4/route/flush", "root", "root", 0o200);
    assert_eq!(converge(&write_only, "net.ipv4.route.flush", set(1_i64)).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn what_the_kernel_would_read_otherwise_is_refused() {
    let of = |value: &str| mistakes("vm.swappiness", &set(value));
    assert_eq!(of("\"10\""), ["value: the kernel would get the quotes of \"10\" as well"]);
    assert_eq!(of("1 # one"), ["value: \"1 # one\" has no comment: all of it is the value"]);
    assert_eq!(of("010"), ["value: the kernel reads \"010\" as an octal number"]);
    assert_eq!(of("1\n2"), ["value: a value is one line"]);
    assert_eq!(mistakes("vm.swappiness", &Sysctl::default()), ["value: a key needs a `value`"]);
    assert!(of("|/usr/bin/dump %p %s").is_empty());
    for name in ["swappiness", "vm..swappiness", "net.ipv4.conf.*.rp_filter", "vm.swap piness", "../x", "vm.x;y", ""] {
        assert_eq!(mistakes(name, &set(1_i64)).len(), 1, "{name:?}");
    }
    assert!(mistakes("vm.swappiness", &Sysctl { ensure: Ensure::Absent, ..Sysctl::default() }).is_empty());
}

#[test]
fn two_keys_that_set_each_other_to_0_are_refused() {
    let mut site = Site::new();
    site.declare("vm.dirty_bytes", set(1_i64 << 20));
    site.declare("vm.dirty_ratio", set(10_i64));
    let errors = format!("{:?}", site.into_graph().map(drop).unwrap_err().list);
    assert!(errors.contains("the kernel sets each of these to 0"), "{errors}");
}

#[test]
fn only_the_file_is_written_where_the_kernel_is_not_to_be_touched() {
    let effects = converge(&host(), "vm.swappiness", set(10_i64).apply(false)).unwrap();
    assert_eq!(effects_in_words(&effects), [format!("write {FILE}")]);
}

/// systemd ends a line at a carriage return as well, so another assignment had been hidden in a value, and in a comment.
#[test]
fn a_carriage_return_ends_a_line() {
    assert_eq!(mistakes("vm.swappiness", &set("10\rkernel.modprobe = /tmp/evil")), ["value: a value is one line"]);
    let hidden = host().with_file(FILE, "# c\rkernel.modprobe = /tmp/evil\nvm.swappiness = 60\n");
    assert_eq!(converge(&hidden, "vm.swappiness", set(60_i64)).unwrap().len(), 1);
    let later = host().with_file("/etc/sysctl.d/99-y.conf", "# foo\rvm.swappiness = 77");
    assert!(converge(&later, "vm.swappiness", set(60_i64)).unwrap_err().message().contains("\"77\""));
}

/// A key without a value takes an earlier assignment back.
#[test]
fn a_key_without_a_value_is_another_one() {
    let own = host().with_file(FILE, "vm.swappiness = 60\n-vm.swappiness\n");
    assert_eq!(converge(&own, "vm.swappiness", set(60_i64)).unwrap().len(), 1);
    let later = host().with_file("/etc/sysctl.d/99-z.conf", "-vm.swappiness\n");
    let error = converge(&later, "vm.swappiness", set(60_i64)).unwrap_err();
    assert!(error.message().contains("as the kernel has it"), "{error}");
}

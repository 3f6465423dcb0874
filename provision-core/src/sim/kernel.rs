//! The values of the kernel that a simulated host begins with: the usual ones below `/proc/sys`, as Debian's kernel has them after a boot.
//! Those of a record win.

use crate::effect::Access;
use crate::host::{FileKind, FileMetadata};
use crate::path::HostPath;

const PLACE: &str = "/proc/sys";

/// Below `/proc/sys`, sorted. Sources: `Documentation/admin-guide/sysctl` of the kernel, `proc_sys(5)`, and Debian's
/// `/usr/lib/sysctl.d`.
const VALUES: &[(&str, &str)] = &[
    ("fs/aio-max-nr", "65536"),
    ("fs/file-max", "9223372036854775807"),
    ("fs/inotify/max_user_instances", "128"),
    ("fs/inotify/max_user_watches", "65536"),
    ("fs/nr_open", "1073741816"),
    ("fs/pipe-max-size", "1048576"),
    ("fs/protected_fifos", "1"),
    ("fs/protected_hardlinks", "1"),
    ("fs/protected_regular", "2"),
    ("fs/protected_symlinks", "1"),
    ("fs/suid_dumpable", "0"),
    ("kernel/core_pattern", "core"),
    ("kernel/core_uses_pid", "0"),
    ("kernel/ctrl-alt-del", "0"),
    ("kernel/dmesg_restrict", "1"),
    ("kernel/kexec_load_disabled", "0"),
    ("kernel/kptr_restrict", "0"),
    ("kernel/modules_disabled", "0"),
    ("kernel/msgmax", "8192"),
    ("kernel/msgmnb", "16384"),
    ("kernel/panic", "0"),
    ("kernel/panic_on_oops", "0"),
    ("kernel/perf_event_paranoid", "3"),
    ("kernel/pid_max", "4194304"),
    ("kernel/printk", "4\t4\t1\t7"),
    ("kernel/randomize_va_space", "2"),
    ("kernel/sem", "32000\t1024000000\t500\t32000"),
    ("kernel/shmall", "18446744073692774399"),
    ("kernel/shmmax", "18446744073692774399"),
    ("kernel/shmmni", "4096"),
    ("kernel/sysrq", "438"),
    ("kernel/unprivileged_bpf_disabled", "2"),
    ("kernel/unprivileged_userns_clone", "1"),
    ("kernel/yama/ptrace_scope", "0"),
    ("net/core/bpf_jit_harden", "0"),
    ("net/core/default_qdisc", "fq_codel"),
    ("net/core/netdev_max_backlog", "1000"),
    ("net/core/rmem_default", "212992"),
    ("net/core/rmem_max", "212992"),
    ("net/core/somaxconn", "4096"),
    ("net/core/wmem_default", "212992"),
    ("net/core/wmem_max", "212992"),
    ("net/ipv4/conf/all/accept_redirects", "1"),
    ("net/ipv4/conf/all/accept_source_route", "0"),
    ("net/ipv4/conf/all/arp_announce", "0"),
    ("net/ipv4/conf/all/arp_ignore", "0"),
    ("net/ipv4/conf/all/forwarding", "0"),
    ("net/ipv4/conf/all/log_martians", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/all/secure_redirects", "1"),
    ("net/ipv4/conf/all/send_redirects", "1"),
    ("net/ipv4/conf/default/accept_redirects", "1"),
    ("net/ipv4/conf/default/accept_source_route", "0"),
    ("net/ipv4/conf/default/arp_announce", "0"),
    ("net/ipv4/conf/default/arp_ignore", "0"),
    ("net/ipv4/conf/default/forwarding", "0"),
    ("net/ipv4/conf/default/log_martians", "0"),
    ("net/ipv4/conf/default/rp_filter", "2"),
    ("net/ipv4/conf/default/secure_redirects", "1"),
    ("net/ipv4/conf/default/send_redirects", "1"),
    ("net/ipv4/icmp_echo_ignore_all", "0"),
    ("net/ipv4/icmp_echo_ignore_broadcasts", "1"),
    ("net/ipv4/icmp_ignore_bogus_error_responses", "1"),
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv4/ip_local_port_range", "32768\t60999"),
    ("net/ipv4/ip_local_reserved_ports", ""),
    ("net/ipv4/ip_nonlocal_bind", "0"),
    ("net/ipv4/tcp_congestion_control", "cubic"),
    ("net/ipv4/tcp_fastopen", "1"),
    ("net/ipv4/tcp_fin_timeout", "60"),
    ("net/ipv4/tcp_keepalive_intvl", "75"),
    ("net/ipv4/tcp_keepalive_probes", "9"),
    ("net/ipv4/tcp_keepalive_time", "7200"),
    ("net/ipv4/tcp_max_syn_backlog", "512"),
    ("net/ipv4/tcp_mtu_probing", "0"),
    ("net/ipv4/tcp_rfc1337", "0"),
    ("net/ipv4/tcp_rmem", "4096\t131072\t6291456"),
    ("net/ipv4/tcp_sack", "1"),
    ("net/ipv4/tcp_slow_start_after_idle", "1"),
    ("net/ipv4/tcp_syncookies", "1"),
    ("net/ipv4/tcp_timestamps", "1"),
    ("net/ipv4/tcp_tw_reuse", "2"),
    ("net/ipv4/tcp_wmem", "4096\t16384\t4194304"),
    ("net/ipv6/conf/all/accept_ra", "1"),
    ("net/ipv6/conf/all/accept_redirects", "1"),
    ("net/ipv6/conf/all/accept_source_route", "0"),
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    ("net/ipv6/conf/default/accept_ra", "1"),
    ("net/ipv6/conf/default/accept_redirects", "1"),
    ("net/ipv6/conf/default/accept_source_route", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv6/conf/default/forwarding", "0"),
    ("vm/dirty_background_bytes", "0"),
    ("vm/dirty_background_ratio", "10"),
    ("vm/dirty_bytes", "0"),
    ("vm/dirty_ratio", "20"),
    ("vm/max_map_count", "65530"),
    ("vm/min_free_kbytes", "67584"),
    ("vm/mmap_min_addr", "65536"),
    ("vm/nr_hugepages", "0"),
    ("vm/overcommit_memory", "0"),
    ("vm/overcommit_ratio", "50"),
    ("vm/panic_on_oom", "0"),
    ("vm/swappiness", "60"),
    ("vm/vfs_cache_pressure", "100"),
];

/// The value at a path, without an end of line.
pub(super) fn value(path: &HostPath) -> Option<&'static str> {
    let key = path.as_str().strip_prefix(PLACE)?.strip_prefix('/')?;
    let place = VALUES.binary_search_by_key(&key, |(known, _)| known).ok()?;
    Some(VALUES[place].1)
}

/// What lies at a path below `/proc/sys`.
pub(super) fn metadata(path: &HostPath) -> Option<FileMetadata> {
    let key = path.as_str().strip_prefix(PLACE)?;
    let key = if key.is_empty() { key } else { key.strip_prefix('/')? };
    let first = VALUES.partition_point(|(known, _)| *known < key);
    let rest = VALUES.get(first)?.0.strip_prefix(key)?;
    let (kind, mode) = match rest {
        "" => (FileKind::File, 0o644),
        _ if key.is_empty() || rest.starts_with('/') => (FileKind::Directory, 0o555),
        _ => return None,
    };
    Some(FileMetadata { kind, access: Access::root(mode), size: 0, mount: 0, links: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_the_directories_above_them_are_there() {
        assert!(VALUES.is_sorted_by_key(|(key, _)| *key));
        let at = |path: &str| metadata(&HostPath::new(path).unwrap()).map(|found| found.kind);
        for directory in ["/proc/sys", "/proc/sys/net", "/proc/sys/net/ipv4/conf", "/proc/sys/vm"] {
            assert_eq!(at(directory), Some(FileKind::Directory), "{directory}");
        }
        assert_eq!(at("/proc/sys/vm/swappiness"), Some(FileKind::File));
        for path in ["/proc/sys/v", "/proc/sys/vm/swap", "/proc/sys/vm/swappiness/x", "/proc/system", "/proc/sys/zz"] {
            assert_eq!(at(path), None, "{path}");
        }
        assert_eq!(value(&HostPath::new("/proc/sys/net/ipv4/ip_forward").unwrap()), Some("0"));
    }
}

//! [`Capabilities`] of a program, and the extended attribute that file systems keep them in.
//!
//! See `capabilities(7)` and `cap_text_formats(7)`; the encoding is that of `linux/capability.h`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::diagnostic::did_you_mean;
use crate::error::{Error, ErrorKind, Result};

/// What a program may do beyond the rights of the user who starts it; written `cap_net_bind_service=ep`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    permitted: u64,
    inheritable: u64,
    effective: bool,
}

/// By number; see `linux/capability.h`.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

const EFFECTIVE: u32 = 1;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;

impl Capabilities {
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Capabilities::default()
    }

    /// The value of the extended attribute.
    pub fn encode(self) -> Vec<u8> {
        let first = REVISION_2 | if self.effective { EFFECTIVE } else { 0 };
        let low = |set: u64| (set & u64::from(u32::MAX)) as u32;
        let words =
            [first, low(self.permitted), low(self.inheritable), low(self.permitted >> 32), low(self.inheritable >> 32)];
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    /// Reads the value of the extended attribute. `None` if it is for a user namespace, or of an unknown revision.
    pub fn decode(bytes: &[u8]) -> Option<Capabilities> {
        let (words, []) = bytes.as_chunks::<4>() else { return None };
        let words: Vec<u64> = words.iter().map(|word| u64::from(u32::from_le_bytes(*word))).collect();
        let [first, permitted, inheritable, permitted_high, inheritable_high, namespace @ ..] = words.as_slice() else {
            return None;
        };
        let revision = *first & !u64::from(EFFECTIVE);
        match namespace {
            [] if revision == u64::from(REVISION_2) => {}
            [0] if revision == u64::from(REVISION_3) => {}
            _ => return None,
        }
        Some(Capabilities {
            permitted: permitted | permitted_high << 32,
            inheritable: inheritable | inheritable_high << 32,
            effective: first & u64::from(EFFECTIVE) != 0,
        })
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = self.permitted & self.inheritable;
        let sets = [(both, "ip"), (self.permitted & !both, "p"), (self.inheritable & !both, "i")];
        let effective = if self.effective { "e" } else { "" };
        let mut separator = "";
        for (set, flags) in sets.into_iter().filter(|(set, _)| *set != 0) {
            f.write_str(separator)?;
            let named = (0..u64::BITS).filter(|number| set >> number & 1 != 0).map(|number| {
                NAMES.get(number as usize).map_or_else(|| format!("cap_{number}"), |name| format!("cap_{name}"))
            });
            write!(f, "{}={effective}{flags}", named.collect::<Vec<_>>().join(","))?;
            separator = " ";
        }
        Ok(())
    }
}

impl FromStr for Capabilities {
    type Err = Error;
    fn from_str(text: &str) -> Result<Capabilities> {
        let refuse = |message: String, hint: &str| Err(Error::new(ErrorKind::Invalid, message).with_hint(hint));
        let mut all = Capabilities::default();
        let mut effective = Vec::new();
        for clause in text.split_whitespace() {
            let Some((names, flags)) = clause.split_once(['=', '+']) else {
                let hint = "write names, an equals sign and the letters of the sets, as in \"cap_net_bind_service=ep\"";
                return refuse(format!("{clause:?} gives no capability"), hint);
            };
            if flags.is_empty() || !flags.bytes().all(|flag| b"eip".contains(&flag)) {
                return refuse(format!("{clause:?} names no set"), "the sets are e, i and p, as in \"cap_net_raw=ep\"");
            }
            let mut set = 0;
            for name in names.split(',') {
                let known = NAMES.iter().position(|known| name.strip_prefix("cap_") == Some(known));
                let Some(number) = known else {
                    let bare = name.strip_prefix("cap_").unwrap_or(name);
                    let hint = match did_you_mean(bare, NAMES) {
                        Some(near) => format!("did you mean `cap_{near}`?"),
                        None => "capabilities(7) lists them all".to_owned(),
                    };
                    return refuse(format!("there is no capability {name:?}"), &hint);
                };
                set |= 1_u64 << number;
            }
            let has = |flag| flags.contains(flag);
            if !has('p') && !has('i') {
                return refuse(
                    format!("{clause:?} is effective and never there"),
                    "add the set p, as in \"cap_net_raw=ep\"",
                );
            }
            all.permitted |= if has('p') { set } else { 0 };
            all.inheritable |= if has('i') { set } else { 0 };
            effective.push(has('e'));
        }
        all.effective = effective.contains(&true);
        if effective.contains(&false) && all.effective {
            let hint = "write e for every one of them, or for none; see capabilities(7)";
            return refuse("a file has all of its capabilities effective, or none".to_owned(), hint);
        }
        Ok(all)
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Capabilities, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn capabilities_survive_text_and_encoding(
            permitted in 0_u64..1 << 41, inheritable in 0_u64..1 << 41, effective: bool
        ) {
            let effective = effective && permitted | inheritable != 0;
            let all = Capabilities { permitted, inheritable, effective };
            prop_assert_eq!(all.to_string().parse::<Capabilities>().unwrap(), all);
            prop_assert_eq!(Capabilities::decode(&all.encode()), Some(all));
        }

        #[test]
        fn garbage_is_no_capability(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = Capabilities::decode(&bytes);
        }
    }

    #[test]
    fn the_encoding_is_that_of_the_kernel() {
        let bind: Capabilities = "cap_net_bind_service+ep".parse().unwrap();
        // What `setcap cap_net_bind_service=ep` writes.
        assert_eq!(bind.encode(), b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(bind.to_string(), "cap_net_bind_service=ep");
        assert_eq!("".parse(), Ok(Capabilities::default()));
    }

    #[test]
    fn mistakes_say_what_would_help() {
        for (text, message) in [
            ("cap_net_raw", "\"cap_net_raw\" gives no capability"),
            ("cap_net_raw=x", "\"cap_net_raw=x\" names no set"),
            ("net_raw=ep", "there is no capability \"net_raw\""),
            ("cap_chown=e", "\"cap_chown=e\" is effective and never there"),
            ("cap_chown=ep cap_kill=p", "a file has all of its capabilities effective, or none"),
        ] {
            let error = text.parse::<Capabilities>().unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(error.hint().is_some());
        }
    }
}

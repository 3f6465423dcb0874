//! Paths on a host, and octal modes: the two values that every file-like resource has.

use std::borrow::{Borrow, Cow};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bytes;
use crate::error::{Error, ErrorKind};

/// An absolute, normalised path on a host: no `.`, no `..`, no double or trailing slash.
///
/// It says nothing about the machine that this program runs on: with a root directory, `/etc/motd` is the file
/// `etc/motd` below that directory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPath(Arc<str>);

impl HostPath {
    /// Checks and normalises a path. It is host text: see [`crate::bytes`].
    ///
    /// # Errors
    /// The path is not absolute, has a `..` component or a NUL byte.
    pub fn new(path: &str) -> Result<HostPath, Error> {
        if bytes::has_escapes(path) {
            // One file, one path: what stands for valid UTF-8 is written as such.
            let bytes = bytes::to_bytes(path);
            let canonical = bytes::from_bytes(&bytes);
            if canonical != path {
                return HostPath::new(&canonical);
            }
        }
        if is_normal(path) {
            return Ok(HostPath(path.into()));
        }
        let refuse =
            |why: &str, hint: &str| Err(Error::new(ErrorKind::Invalid, format!("{path:?} {why}")).with_hint(hint));
        if !path.starts_with('/') {
            return refuse("is not an absolute path", "a path begins with /");
        }
        if path.contains('\0') {
            return refuse("holds a NUL byte", "no file name can hold one");
        }
        if path.split('/').any(|component| component == "..") {
            return refuse("has a `..` component", "write the path without it");
        }
        let mut normalised = String::with_capacity(path.len());
        for component in path.split('/').filter(|component| !component.is_empty() && *component != ".") {
            normalised.push('/');
            normalised.push_str(component);
        }
        if normalised.is_empty() {
            normalised.push('/');
        }
        Ok(HostPath(normalised.into()))
    }

    /// As [`new`](HostPath::new), of the bytes of a path, which need not be UTF-8.
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes(path: &[u8]) -> Result<HostPath, Error> {
        HostPath::new(&bytes::from_bytes(path))
    }

    /// The path as the kernel has it.
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        bytes::to_bytes(&self.0)
    }

    /// The path for calls of the operating system.
    pub fn to_os_string(&self) -> OsString {
        OsString::from_vec(self.to_bytes().into_owned())
    }

    /// The root directory.
    pub fn root() -> HostPath {
        HostPath("/".into())
    }

    /// The path as host text, see [`crate::bytes`]; begins with a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that holds it; none for the root.
    pub fn parent(&self) -> Option<HostPath> {
        self.parent_text().map(|parent| HostPath(parent.into()))
    }

    /// The same as text.
    pub(crate) fn parent_text(&self) -> Option<&str> {
        above(&self.0)
    }

    /// The texts of all directories above it, nearest first, the root last.
    pub(crate) fn ancestor_texts(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.parent_text(), |path| above(path))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        last_slash(&self.0).map_or(&*self.0, |slash| &self.0[slash + 1..])
    }

    /// All directories above it, nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = HostPath> {
        std::iter::successors(self.parent(), HostPath::parent)
    }

    /// The path of something in this directory.
    ///
    /// # Errors
    /// The name is not a plain relative path.
    pub fn join(&self, name: &str) -> Result<HostPath, Error> {
        let above = if self.0.as_ref() == "/" { "" } else { &self.0 };
        HostPath::new(&[above, "/", name].concat())
    }

    /// Where a link in this directory leads to: its text, absolute or relative. What cannot be a path is an error.
    pub(crate) fn linked(&self, target: &str) -> Result<HostPath, Error> {
        let mut parts: Vec<&str> = Vec::new();
        let base = if target.starts_with('/') { "" } else { self.as_str() };
        for part in base.split('/').chain(target.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        HostPath::new(&format!("/{}", parts.join("/")))
    }

    /// Whether it is `directory` or lies below it.
    pub fn is_within(&self, directory: &HostPath) -> bool {
        directory.0.as_ref() == "/"
            || self.0.strip_prefix(directory.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Names are short: a plain loop finds it sooner than what is made for long texts.
fn last_slash(path: &str) -> Option<usize> {
    path.bytes().rposition(|byte| byte == b'/')
}

/// The directory that holds a path; none for the root.
fn above(path: &str) -> Option<&str> {
    match last_slash(path)? {
        _ if path.len() == 1 => None,
        0 => Some("/"),
        slash => Some(&path[..slash]),
    }
}

/// Whether a text is a path as it is kept; looked at once, because paths are made all the time.
fn is_normal(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let is_name = |component: &[u8]| !matches!(component, b"" | b"." | b"..") && !component.contains(&0);
    rest.is_empty() || rest.as_bytes().split(|byte| *byte == b'/').all(is_name)
}

impl Borrow<str> for HostPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for HostPath {
    type Err = Error;
    fn from_str(text: &str) -> Result<HostPath, Error> {
        HostPath::new(text)
    }
}

impl Serialize for HostPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HostPath, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        HostPath::new(&text).map_err(explain)
    }
}

impl JsonSchema for HostPath {
    fn schema_name() -> Cow<'static, str> {
        "AbsolutePath".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^/",
            "x-nickel": "AbsolutePath",
        })
    }
}

/// The permission bits of a file, with set-user-id, set-group-id and sticky bit; written `"0644"` in octal.
///
/// A bare number is refused: `644` would be a decimal number, which is not what it looks like.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mode(u16);

impl Mode {
    /// Takes the permission bits of `bits`, as in `Mode::new(0o644)`; other bits are dropped.
    pub const fn new(bits: u32) -> Mode {
        Mode((bits & 0o7777) as u16)
    }

    /// The bits, at most `0o7777`.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = Error;
    fn from_str(text: &str) -> Result<Mode, Error> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        match u16::from_str_radix(text, 8) {
            Ok(bits) if octal => Ok(Mode(bits)),
            _ => Err(Error::new(ErrorKind::Invalid, format!("{text:?} is not a mode"))
                .with_hint("a mode is three or four octal digits in quotes, such as \"0644\"")),
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Mode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mode of three or four octal digits in quotes, such as \"0644\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Mode, E> {
                text.parse().map_err(explain)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-7]{3,4}$",
            "x-nickel": "Mode",
        })
    }
}

/// An error of ours as serde has it: in one line.
fn explain<E: serde::de::Error>(error: Error) -> E {
    match error.hint() {
        Some(hint) => E::custom(format_args!("{}: {hint}", error.message())),
        None => E::custom(error.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_knows_its_parents() {
        let path = HostPath::new("//etc/./nginx//conf.d/").unwrap();
        assert_eq!(path.as_str(), "/etc/nginx/conf.d");
        assert_eq!(path.name(), "conf.d");
        let above: Vec<String> = path.ancestors().map(|path| path.to_string()).collect();
        assert_eq!(above, ["/etc/nginx", "/etc", "/"]);
        assert!(path.is_within(&HostPath::new("/etc").unwrap()));
        assert!(!path.is_within(&HostPath::new("/etc/ngi").unwrap()));
    }

    #[test]
    fn a_path_that_is_not_utf_8_is_one_path() {
        let path = HostPath::from_bytes(b"/srv/./J\xF6rg/\xC3\xA9").unwrap();
        assert_eq!(path.to_os_string().as_encoded_bytes(), b"/srv/J\xF6rg/\xC3\xA9");
        assert!(path.name() == "é" && path.is_within(&HostPath::new("/srv").unwrap()));
        assert_eq!(HostPath::new("/a\u{10FFC3}\u{10FFA9}").unwrap(), HostPath::new("/aé").unwrap());
        assert_eq!(HostPath::from_bytes(&path.to_bytes()).unwrap(), path);
    }

    #[test]
    fn a_number_is_no_mode() {
        let error = serde_json::from_str::<Mode>("644").unwrap_err().to_string();
        assert!(error.contains("octal digits in quotes"), "{error}");
        assert_eq!(serde_json::from_str::<Mode>("\"2775\"").unwrap(), Mode::new(0o2775));
    }

    proptest! {
        #[test]
        fn a_path_is_normal_after_one_pass(text in "[/a.]{0,12}") {
            if let Ok(path) = HostPath::new(&text) {
                prop_assert_eq!(HostPath::new(path.as_str()).unwrap(), path.clone());
                prop_assert!(path.parent().is_none_or(|parent| path.is_within(&parent)));
            }
        }

        #[test]
        fn a_mode_survives_text(bits in 0u32..0o10000) {
            let mode = Mode::new(bits);
            prop_assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
        }
    }
}

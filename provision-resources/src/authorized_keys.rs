//! The keys that let a user in over SSH: what sshd(8) says of `~/.ssh/authorized_keys`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use provision_core::bytes::from_bytes;
use provision_core::effect::{Access, AttributeChanges, Effect, WriteFile};
use provision_core::error::{Error, ErrorKind, Result};
use provision_core::host::{FileKind, Host, HostView};
use provision_core::path::{HostPath, Mode};
use provision_core::resource::AttributeError;
use serde::{Deserialize, Serialize};

/// The types that OpenSSH accepts; `ssh-dss` has gone.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

const DIRECTORY_MODE: Mode = Mode::new(0o700);
const FILE_MODE: Mode = Mode::new(0o600);

/// The keys of a user, as far as a state tells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The lines that are not comments, their spaces made even; sorted.
    lines: Vec<String>,
    /// Whether the directory and the file belong to the user alone: sshd ignores them otherwise.
    private: bool,
}

/// A line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Key<'a> {
    options: Option<&'a str>,
    kind: &'a str,
    blob: &'a str,
    comment: String,
}

/// The file with the keys of a user.
pub(crate) fn path_in(home: &str) -> Result<HostPath> {
    HostPath::new(home)?.join(".ssh/authorized_keys")
}

/// What is wrong with declared keys.
pub(crate) fn mistakes(keys: &BTreeMap<String, String>) -> Vec<AttributeError> {
    let mut errors = Vec::new();
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (label, line) in keys {
        let mut refuse = |message: String, help: &str| {
            let path = vec!["authorized_keys".to_owned(), label.clone()];
            errors.push(AttributeError::at(path, message).help(help));
        };
        let example = "write the line of the `.pub` file, such as \"ssh-ed25519 AAAA… anna@laptop\"";
        match parse(line) {
            Err(_) if line.contains("PRIVATE KEY") => refuse("this is a private key".into(), example),
            Err(message) => refuse(message, example),
            Ok(key) => {
                if let Some(other) = seen.insert(key.blob, label) {
                    refuse(format!("it is the same key as {other:?}"), "keep one of them");
                }
            }
        }
    }
    errors
}

/// How the keys should be.
pub(crate) fn wanted(keys: &BTreeMap<String, String>) -> Keys {
    let lines: BTreeSet<String> = keys.values().map(|line| normalise(line)).collect();
    Keys { lines: lines.into_iter().collect(), private: true }
}

/// Reads how the keys are.
pub(crate) fn check(host: &dyn HostView, user: &str, home: &str, wanted: &BTreeMap<String, String>) -> Result<Keys> {
    let path = path_in(home)?;
    let directory = path.parent().unwrap_or_else(HostPath::root);
    let outer = match host.metadata(&directory)? {
        None => return Ok(Keys { lines: Vec::new(), private: wanted.is_empty() }),
        Some(found) if found.kind != FileKind::Directory => {
            let message = format!("{directory} is {}, not a directory", found.kind.noun());
            return Err(Error::new(ErrorKind::Refused, message)
                .with_hint("what the user put there is not followed; remove it, or leave `authorized_keys` out"));
        }
        Some(found) => found.access,
    };
    let inner = match host.metadata(&path)? {
        None => return Ok(Keys { lines: Vec::new(), private: wanted.is_empty() }),
        // A link of the user's is replaced, not followed.
        Some(found) if found.kind != FileKind::File => return Ok(Keys { lines: Vec::new(), private: false }),
        Some(found) => found.access,
    };
    let content = host.read(&path)?;
    let text = content.as_ref().map(|content| from_bytes(content.bytes())).unwrap_or_default();
    let lines: BTreeSet<String> = text.lines().map(normalise).filter(|line| !line.is_empty()).collect();
    let private = outer.owner == user && outer.mode == DIRECTORY_MODE && inner.owner == user && inner.mode == FILE_MODE;
    Ok(Keys { lines: lines.into_iter().collect(), private })
}

/// Puts the declared keys, and no others, in place.
pub(crate) fn write(
    host: &dyn Host,
    user: &str,
    group: &str,
    home: &str,
    keys: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path_in(home)?;
    let directory = path.parent().unwrap_or_else(HostPath::root);
    let access = |mode| Access { owner: user.to_owned(), group: group.to_owned(), mode };
    let found = host.metadata(&directory)?;
    if found.is_none_or(|found| found.access.owner != user || found.access.mode != DIRECTORY_MODE) {
        let create = Effect::CreateDirectory {
            path: directory,
            access: access(DIRECTORY_MODE),
            attributes: AttributeChanges::default(),
        };
        host.perform(&create).map_err(|error| {
            error.with_hint(format!("keys need the home directory {home}: say `create_home = true`, or declare it"))
        })?;
    }
    let mut text = "# Managed by provision: other keys are removed.\n".to_owned();
    for line in keys.values() {
        text.push_str(line.trim());
        text.push('\n');
    }
    host.perform(&Effect::WriteFile(WriteFile::new(path, text, access(FILE_MODE))))?;
    Ok(())
}

/// The line as it is compared: comments are nothing, and spaces between the parts are one.
fn normalise(line: &str) -> String {
    let line = line.trim();
    if line.starts_with('#') {
        return String::new();
    }
    match parse(line) {
        Ok(key) => {
            let parts = [key.options.unwrap_or_default(), key.kind, key.blob, &key.comment];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            parts.join(" ")
        }
        Err(_) => line.to_owned(),
    }
}

/// Reads `[options] type blob [comment]`.
fn parse(line: &str) -> std::result::Result<Key<'_>, String> {
    let line = line.trim();
    if line.contains(['\n', '\r', '\0']) {
        return Err("it has more than one line".to_owned());
    }
    let is_type = |word: &str| KEY_TYPES.contains(&word);
    let first = line.split_whitespace().next().unwrap_or_default();
    let (options, rest) = if is_type(first) {
        (None, line)
    } else {
        let (options, rest) = line.split_at(end_of_options(line));
        (Some(options), rest)
    };
    let mut words = rest.split_whitespace();
    let kind = words.next().filter(|word| is_type(word));
    let Some(kind) = kind else {
        return Err(format!("it is not a public key: no type of key is in it, such as {}", KEY_TYPES[0]));
    };
    let blob = words.next().unwrap_or_default();
    if !is_blob_of(kind, blob) {
        return Err(format!("the {kind} key in it is damaged or cut off"));
    }
    Ok(Key { options, kind, blob, comment: words.collect::<Vec<_>>().join(" ") })
}

/// Options end at the first space outside of double quotes; a quote inside is written `\"`.
fn end_of_options(line: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (index, c) in line.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return index,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    line.len()
}

/// Whether it is a key of that type: strings with their lengths before them, the first of which is the type; RFC 4253, 6.6.
fn is_blob_of(kind: &str, blob: &str) -> bool {
    let Ok(bytes) = BASE64.decode(blob) else { return false };
    let mut rest = bytes.as_slice();
    let mut strings = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((string, tail)) = tail.split_at_checked(length) else { return false };
        strings.push(string);
        rest = tail;
    }
    rest.is_empty() && strings.len() >= 2 && strings[0] == kind.as_bytes()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A well-formed key whose bytes are all the same.
    pub(crate) fn key(byte: u8) -> String {
        let mut blob = vec![0, 0, 0, 11];
        blob.extend(b"ssh-ed25519");
        blob.extend([0, 0, 0, 32]);
        blob.extend([byte; 32]);
        format!("ssh-ed25519 {}", BASE64.encode(blob))
    }

    #[test]
    fn a_line_has_options_a_type_a_key_and_a_comment() {
        let line = format!("from=\"10.0.0.1, 10.0.0.2\",command=\"echo \\\"a b\\\"\"   {}  anna's   laptop ", key(1));
        let parsed = parse(&line).unwrap();
        assert_eq!(parsed.options, Some("from=\"10.0.0.1, 10.0.0.2\",command=\"echo \\\"a b\\\"\""));
        assert_eq!((parsed.kind, parsed.comment.as_str()), ("ssh-ed25519", "anna's laptop"));
        let tidy = format!("from=\"10.0.0.1, 10.0.0.2\",command=\"echo \\\"a b\\\"\" {} anna's laptop", key(1));
        assert_eq!(normalise(&line), tidy);
        assert_eq!(normalise(&tidy), tidy);
        assert_eq!(normalise("  # a comment"), "");
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let cut = key(1)[..60].to_owned();
        let other = key(1).replace("ssh-ed25519 ", "ssh-rsa ");
        for bad in
            ["", "hello", "ssh-dss AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----", &cut, &other, "ssh-ed25519", "a\nb"]
        {
            let keys = BTreeMap::from([("anna".to_owned(), bad.to_owned())]);
            let found = mistakes(&keys);
            assert_eq!(found.len(), 1, "{bad}");
            assert_eq!(found[0].path, ["authorized_keys", "anna"]);
        }
        let twice = BTreeMap::from([("a".to_owned(), key(1)), ("b".to_owned(), format!("{} again", key(1)))]);
        assert_eq!(mistakes(&twice)[0].message, "it is the same key as \"a\"");
    }
}

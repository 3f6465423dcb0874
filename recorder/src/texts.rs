//! Which texts are worth recording, and may be.

/// Longest text that is kept.
const LONGEST: usize = 16 << 10;

/// Most bytes of texts of one package, beside [`telling`] ones: some ship hundreds of rules or examples.
const MOST: usize = 40 << 10;

/// Whether the text of a shipped file says what the service manager and its helpers make of it.
pub fn telling(path: &str) -> bool {
    let directories = [
        "/usr/lib/systemd/system/",
        "/usr/lib/systemd/system-preset/",
        "/usr/lib/sysusers.d/",
        "/usr/lib/tmpfiles.d/",
        "/usr/lib/sysctl.d/",
    ];
    directories.iter().any(|directory| path.starts_with(directory))
}

/// Whether the text of a shipped file may be recorded.
pub fn wanted(path: &str) -> bool {
    // Where there are units, the scripts that they replace are not read.
    telling(path) || (path.starts_with("/etc/") && !path.starts_with("/etc/init.d/"))
}

/// Of the texts of a package those that are recorded: what lies near the root, and is short, goes first.
pub fn within_limits(texts: Vec<(String, String)>) -> Vec<(String, String)> {
    let (mut chosen, mut others): (Vec<_>, Vec<_>) = texts.into_iter().partition(|(path, _)| telling(path));
    others.sort_by_cached_key(|(path, text)| (path.matches('/').count(), text.len(), path.clone()));
    let mut left = MOST;
    for (path, text) in others {
        if text.len() <= left {
            left -= text.len();
            chosen.push((path, text));
        }
    }
    chosen
}

/// The text of a shipped file, if it is one and short enough.
pub fn text(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok().filter(|text| text.len() <= LONGEST && !text.contains('\0'))?;
    // Keys and certificates are read by machines alone.
    if text.contains("-----BEGIN PGP") || text.contains("-----BEGIN CERTIFICATE") {
        return None;
    }
    Some(text.to_owned())
}

/// The text of a file that a script made, unless it may be a secret or is made anew each time.
pub fn made_text(path: &str, mode: u32, data: &[u8]) -> Option<String> {
    let text = text(data).filter(|text| text.len() <= LONGEST / 2)?;
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let secretive = |words: &str| {
        let words = words.to_ascii_lowercase();
        ["passw", "secret", "private key", "token", "cookie", "pass=", "pwd=", "dbc_dbpass"]
            .iter()
            .any(|word| words.contains(word))
    };
    let closed = mode & 0o004 == 0;
    let key = text.contains("-----BEGIN ") || text.starts_with("ssh-") || text.starts_with("ecdsa-");
    if key || (closed && (secretive(&text) || secretive(&name) || name.contains("key"))) || assigns_secret(&text) {
        return None;
    }
    // What slapd writes has times and identifiers; catalogues of XML, and what git-lfs adds, are in another order each time.
    // MariaDB's views have the time at which they were made.
    let is_dated = text.contains("\nentryUUID: ") || path.ends_with(".frm");
    if is_dated || path.starts_with("/etc/xml/") || path == "/etc/gitconfig" {
        return None;
    }
    // Beyond configuration only what is as short as a mark.
    (path.starts_with("/etc/") || text.len() <= 512).then(|| without_identifiers(&without_times(&text)))
}

/// Leaves out the comments in which generated configuration says when it was made.
fn without_times(text: &str) -> String {
    let is_dated = |line: &str| {
        let mut words = line.split_whitespace();
        let clock = |word: &str| word.len() == 8 && word.chars().filter(|character| *character == ':').count() == 2;
        let year = line.split_whitespace().any(|word| word.starts_with("20") && word.len() == 4);
        line.starts_with(['#', ';']) && year && words.any(clock)
    };
    text.split_inclusive('\n').filter(|line| !is_dated(line)).collect()
}

/// Writes zeros in the place of identifiers that were drawn by chance: UUIDs, and the names of iSCSI initiators.
fn without_identifiers(text: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let end = rest[start..].find(|character| !is_word(character)).map_or(rest.len(), |length| start + length);
        let (before, word) = (&rest[..start], &rest[start..end]);
        found.push_str(before);
        let hex = word.chars().all(|character| character.is_ascii_hexdigit() || character == '-');
        let uuid = word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let initiator = found.ends_with("iqn.1993-08.org.debian:01:");
        if hex && uuid {
            found.extend(word.chars().map(|character| if character == '-' { '-' } else { '0' }));
        } else if hex && initiator {
            // It has more or fewer digits each time.
            found.push_str("000000000000");
        } else {
            found.push_str(word);
        }
        rest = &rest[end..];
    }
    found + rest
}

/// Whether a line sets a password, as generated configuration does that is readable by accident.
fn assigns_secret(text: &str) -> bool {
    let live = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';', '/', '*']));
    live.map(str::to_ascii_lowercase).any(|line| {
        let split = line.split_once(['=', ':']);
        split.is_some_and(|(key, value)| {
            (key.contains("password") || key.contains("secret_key") || key.trim().ends_with("dbpass"))
                && value.trim_matches([' ', '"', '\'', ';']).len() >= 12
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_configuration_goes_before_many_examples() {
        let text = |path: &str, length| (path.to_owned(), "x".repeat(length));
        let many = (0..9).map(|number| text(&format!("/etc/x/rules/{number}"), 9000));
        let unit = text("/usr/lib/systemd/system/x.service", 16000);
        let chosen = within_limits(many.chain([text("/etc/x/x.conf", 15000), unit]).collect());
        let paths: Vec<&str> = chosen.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/usr/lib/systemd/system/x.service", "/etc/x/x.conf", "/etc/x/rules/0", "/etc/x/rules/1"]);
        assert!(!wanted("/etc/init.d/x") && !wanted("/usr/share/x"));
    }

    #[test]
    fn secrets_have_no_text() {
        assert_eq!(made_text("/etc/mysql/debian.cnf", 0o600, b"password = x\n"), None);
        assert_eq!(made_text("/etc/ssl/a", 0o644, b"-----BEGIN PRIVATE KEY-----\n"), None);
        assert_eq!(made_text("/etc/x/db.php", 0o644, b"$dbpass='0123456789abc';\n"), None);
        assert_eq!(made_text("/etc/default/x", 0o644, b"A=1\n"), Some("A=1\n".into()));
        assert_eq!(text(&[0xff, 0xfe]), None);
        let dated = made_text("/etc/x", 0o644, b"# made on Sat, 21 Nov 2020 11:58:27 +0000\n# the rest\nA 2020\n");
        let drawn = made_text("/etc/x", 0o644, b"id=f8c0e29c-9b74-4871-80bf-86c706019479 a-b\n");
        assert_eq!(drawn.as_deref(), Some("id=00000000-0000-0000-0000-000000000000 a-b\n"));
        let drawn = made_text("/etc/x", 0o644, b"InitiatorName=iqn.1993-08.org.debian:01:4ce2fd79\n");
        assert_eq!(drawn.as_deref(), Some("InitiatorName=iqn.1993-08.org.debian:01:000000000000\n"));
        assert_eq!(dated.as_deref(), Some("# the rest\nA 2020\n"));
    }
}

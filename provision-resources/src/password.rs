//! The forms of password hashes that crypt(5) has.

/// What a text is, taken as the hash of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A hash that a password can match.
    Hash,
    /// It begins like a hash of this method, and is none: no password ever matches it.
    Broken(&'static str),
    /// Something else.
    Other,
}

/// A method of crypt(5): its name, how its hashes begin, and whether what follows is as it has to be.
type Method = (&'static str, &'static str, fn(&str) -> bool);

/// The methods of libxcrypt as Debian builds it, but for those of DES, which cannot be told from passwords.
const METHODS: [Method; 14] = [
    ("yescrypt", "$y$", |rest| is_yescrypt(rest)),
    ("gost-yescrypt", "$gy$", |rest| is_yescrypt(rest)),
    ("scrypt", "$7$", |rest| matches!(parts(rest)[..], [salt, hash] if is_text(salt, 11, 97) && is_text(hash, 43, 43))),
    ("bcrypt", "$2b$", |rest| is_bcrypt(rest)),
    ("bcrypt", "$2y$", |rest| is_bcrypt(rest)),
    ("bcrypt", "$2a$", |rest| is_bcrypt(rest)),
    ("bcrypt", "$2x$", |rest| is_bcrypt(rest)),
    ("sha512crypt", "$6$", |rest| is_sha(rest, 86)),
    ("sha256crypt", "$5$", |rest| is_sha(rest, 43)),
    ("sha1crypt", "$sha1$", |rest| {
        matches!(parts(rest)[..], [rounds, salt, hash]
            if is_number(rounds) && is_text(salt, 1, 64) && is_text(hash, 28, 28))
    }),
    ("SunMD5", "$md5", |rest| is_sun_md5(rest)),
    ("md5crypt", "$1$", |rest| matches!(parts(rest)[..], [salt, hash] if is_salt(salt, 8) && is_text(hash, 22, 22))),
    ("NT", "$3$", |rest| {
        let hash = rest.strip_prefix('$').unwrap_or_default();
        hash.len() == 32 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }),
    ("an unknown method", "$", |_| false),
];

/// Recognises a text.
pub(crate) fn form_of(text: &str) -> Form {
    let Some((name, rest, fits)) =
        METHODS.iter().find_map(|(name, prefix, fits)| Some((name, text.strip_prefix(prefix)?, fits)))
    else {
        return Form::Other;
    };
    if fits(rest) { Form::Hash } else { Form::Broken(name) }
}

fn parts(rest: &str) -> Vec<&str> {
    rest.split('$').collect()
}

/// `./0-9A-Za-z`, the alphabet of crypt(5), so long.
fn is_text(text: &str, least: usize, most: usize) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    (least..=most).contains(&text.len()) && text.bytes().all(is_letter)
}

/// A salt may have any character that shadow(5) can hold. The empty one is allowed by crypt(5) as well.
fn is_salt(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic() && !b":;*!\\$".contains(&byte))
}

fn is_number(text: &str) -> bool {
    !text.starts_with('0') && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_yescrypt(rest: &str) -> bool {
    matches!(parts(rest)[..], [parameters, salt, hash]
        if is_text(parameters, 1, 64) && is_text(salt, 0, 86) && is_text(hash, 43, 43))
}

fn is_bcrypt(rest: &str) -> bool {
    matches!(parts(rest)[..], [cost, hash]
        if cost.len() == 2 && matches!(cost.parse::<u8>(), Ok(4..=31)) && is_text(hash, 53, 53))
}

fn is_sha(rest: &str, length: usize) -> bool {
    let rest = match rest.strip_prefix("rounds=").map(|rest| rest.split_once('$')) {
        Some(Some((rounds, rest))) if is_number(rounds) => rest,
        Some(_) => return false,
        None => rest,
    };
    matches!(parts(rest)[..], [salt, hash] if is_salt(salt, 16) && is_text(hash, length, length))
}

fn is_sun_md5(rest: &str) -> bool {
    let rest = match rest.strip_prefix(",rounds=").map(|rest| rest.split_once('$')) {
        Some(Some((rounds, rest))) if is_number(rounds) => rest,
        Some(_) => return false,
        None => match rest.strip_prefix('$') {
            Some(rest) => rest,
            None => return false,
        },
    };
    match parts(rest)[..] {
        [salt, hash] | [salt, "", hash] => is_text(salt, 8, 8) && is_text(hash, 22, 22),
        _ => false,
    }
}

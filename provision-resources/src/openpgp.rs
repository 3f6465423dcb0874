//! Public keys of OpenPGP, as far as apt's keyrings need them: the armour, and the fingerprints of primary keys; see RFC 9580.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::Digest as _;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The bytes of a key block, armoured or not. The error says what is wrong.
pub(crate) fn key_block(bytes: &[u8]) -> Result<Vec<u8>, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN") => without_armour(text),
        _ => Ok(bytes.to_vec()),
    }
}

/// Section 6.2: header, headers, a blank line, Base64, a checksum, tail.
fn without_armour(text: &str) -> Result<Vec<u8>, String> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| line.is_empty());
    match lines.next() {
        Some(BEGIN) => {}
        Some(line) if line.contains("PRIVATE KEY") => return Err("it is a private key".into()),
        line => return Err(format!("it begins with {:?}, and not with a public key", line.unwrap_or_default())),
    }
    let is_header = |line: &&str| line.contains(": ");
    let body: Vec<&str> = lines.by_ref().skip_while(is_header).take_while(|line| *line != END).collect();
    if lines.any(|line| !line.is_empty()) {
        return Err("there is more than one block, of which apt would read the first".into());
    }
    if !text.contains(END) {
        return Err("its end is missing".into());
    }
    let (checksum, data): (Vec<&str>, Vec<&str>) = body.into_iter().partition(|line| line.starts_with('='));
    let bytes =
        BASE64.decode(data.concat()).map_err(|_| "it is not Base64 between its first and its last line".to_owned())?;
    match checksum.first() {
        Some(line) if **line != format!("={}", BASE64.encode(crc24(&bytes))) => {
            Err("its checksum is wrong: something is missing or was changed".into())
        }
        _ => Ok(bytes),
    }
}

/// Section 6.1.1.
fn crc24(bytes: &[u8]) -> [u8; 3] {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    let [_, high, middle, low] = crc.to_be_bytes();
    [high, middle, low]
}

/// A key block with its armour.
pub(crate) fn armoured(bytes: &[u8]) -> String {
    let text = BASE64.encode(bytes);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("{BEGIN}\n\n{}={}\n{END}\n", lines.collect::<String>(), BASE64.encode(crc24(bytes)))
}

/// The fingerprints of the primary keys of a block, in capitals.
pub(crate) fn fingerprints(mut bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (tag, body, rest) = packet(bytes).ok_or("it is no key of OpenPGP")?;
        bytes = rest;
        match (tag, body.first()) {
            // Public keys, of version 4 or 6; section 5.5.4.
            (6, Some(4)) => {
                let length = u16::try_from(body.len()).map_err(|_| "one of its keys is too long")?;
                found.push(hex(&sha1::Sha1::digest([&[0x99][..], &length.to_be_bytes(), body].concat())));
            }
            (6, Some(6)) => {
                let length = u32::try_from(body.len()).map_err(|_| "one of its keys is too long")?;
                found.push(hex(&sha2::Sha256::digest([&[0x9b][..], &length.to_be_bytes(), body].concat())));
            }
            (6, version) => {
                return Err(format!("its keys are of version {}, which apt does not use", version.unwrap_or(&0)));
            }
            (5 | 7, _) => return Err("it is a private key".into()),
            _ if found.is_empty() => return Err("it does not begin with a public key".into()),
            _ => {}
        }
    }
    if found.is_empty() { Err("there is no key in it".into()) } else { Ok(found) }
}

/// The kind of the first packet, its body, and what follows; section 4.2. Keys have no parts of unknown length.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
    let (tag, length, rest) = match first {
        0xc0.. => match *rest.first()? {
            short @ 0..=191 => (first & 0x3f, usize::from(short), &rest[1..]),
            middle @ 192..=223 => {
                let length = ((usize::from(middle) - 192) << 8) + usize::from(*rest.get(1)?) + 192;
                (first & 0x3f, length, rest.get(2..)?)
            }
            224..=254 => return None,
            255 => (first & 0x3f, number(rest.get(1..5)?), &rest[5..]),
        },
        0x80.. => {
            let width = match first & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return None,
            };
            ((first >> 2) & 0xf, number(rest.get(..width)?), &rest[width..])
        }
        _ => return None,
    };
    Some((tag, rest.get(..length)?, &rest[length..]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
pub(crate) mod tests;

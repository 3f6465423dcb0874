//! Reading the archives inside of packages: ustar with the long names of GNU and of pax.

use std::io::{ErrorKind, Read};

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path, absolute and without a slash at its end.
    pub path: String,
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits.
    pub mode: u32,
    /// Name of the user.
    pub owner: String,
    /// Name of the group.
    pub group: String,
    /// Bytes.
    pub size: u64,
    /// Seconds of its last change.
    pub mtime: i64,
    /// What it holds, if that was asked for.
    pub data: Option<Vec<u8>>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with its text.
    Symlink(String),
    /// Another name of an earlier file.
    Hardlink(String),
    /// A device or a pipe.
    Other,
}

/// Reads an archive; keeps what files hold that `keep` says yes to.
pub fn members(mut archive: impl Read, keep: impl Fn(&Member) -> bool) -> Result<Vec<Member>, String> {
    let mut all = Vec::new();
    let mut long_path = None;
    let mut long_link = None;
    loop {
        let mut header = [0; 512];
        match archive.read_exact(&mut header) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            read => read.map_err(|error| format!("the archive cannot be read: {error}"))?,
        }
        if header.iter().all(|byte| *byte == 0) {
            // Two blocks of zeros end an archive; the rest is read so that its writer is not stopped.
            std::io::copy(&mut archive, &mut std::io::sink()).map_err(|error| error.to_string())?;
            break;
        }
        let size = number(&header[124..136])?;
        match header[156] {
            b'L' => long_path = Some(text(&body(&mut archive, size)?)),
            b'K' => long_link = Some(text(&body(&mut archive, size)?)),
            b'x' => {
                for (key, value) in pax(&body(&mut archive, size)?) {
                    match key.as_str() {
                        "path" => long_path = Some(value),
                        "linkpath" => long_link = Some(value),
                        _ => {}
                    }
                }
            }
            b'g' => drop(body(&mut archive, size)?),
            flag => {
                let link = long_link.take().unwrap_or_else(|| text(&header[157..257]));
                let name = long_path.take().unwrap_or_else(|| short_path(&header));
                let kind = match flag {
                    b'0' | 0 => MemberKind::File,
                    b'1' => MemberKind::Hardlink(absolute(&link)),
                    b'2' => MemberKind::Symlink(link),
                    b'5' => MemberKind::Directory,
                    _ => MemberKind::Other,
                };
                let mut member = Member {
                    path: absolute(&name),
                    kind,
                    mode: u32::try_from(number(&header[100..108])? & 0o7777).unwrap_or_default(),
                    owner: text(&header[265..297]),
                    group: text(&header[297..329]),
                    size,
                    mtime: i64::try_from(number(&header[136..148])?).unwrap_or_default(),
                    data: None,
                };
                if keep(&member) {
                    member.data = Some(body(&mut archive, size)?);
                } else {
                    let padded = size.div_ceil(512) * 512;
                    std::io::copy(&mut archive.by_ref().take(padded), &mut std::io::sink())
                        .map_err(|error| error.to_string())?;
                }
                all.push(member);
            }
        }
    }
    Ok(all)
}

fn body(archive: &mut impl Read, size: u64) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    let padded = size.div_ceil(512) * 512;
    archive.take(padded).read_to_end(&mut data).map_err(|error| error.to_string())?;
    if data.len() as u64 != padded {
        return Err("the archive ends early".into());
    }
    data.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    Ok(data)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn short_path(header: &[u8; 512]) -> String {
    let name = text(&header[..100]);
    // The old format of GNU has other things where ustar has the prefix.
    match &header[257..263] {
        b"ustar\0" if header[345] != 0 => format!("{}/{name}", text(&header[345..500])),
        _ => name,
    }
}

fn absolute(name: &str) -> String {
    let trimmed = name.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
    if trimmed == "." { "/".into() } else { format!("/{trimmed}") }
}

fn number(field: &[u8]) -> Result<u64, String> {
    if field[0] & 0x80 != 0 {
        return Ok(field[1..].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)));
    }
    let digits = text(field);
    match digits.trim() {
        "" => Ok(0),
        digits => u64::from_str_radix(digits, 8).map_err(|_| format!("{digits:?} is no number of a tar archive")),
    }
}

/// Records of pax: `length key=value` and a line end.
fn pax(data: &[u8]) -> Vec<(String, String)> {
    let mut rest = data;
    let mut found = Vec::new();
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let Ok(length) = text(&rest[..space]).parse::<usize>() else { break };
        let Some(record) = rest.get(space + 1..length.saturating_sub(1)) else { break };
        if let Some((key, value)) = String::from_utf8_lossy(record).split_once('=') {
            found.push((key.to_owned(), value.to_owned()));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, flag: u8, mode: &str, link: &str, data: &[u8]) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..100 + mode.len()].copy_from_slice(mode.as_bytes());
        let size = format!("{:011o}", data.len());
        header[124..135].copy_from_slice(size.as_bytes());
        header[156] = flag;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar  \0");
        header[265..269].copy_from_slice(b"root");
        header[297..300].copy_from_slice(b"adm");
        header.extend_from_slice(data);
        header.resize(header.len().div_ceil(512) * 512, 0);
        header
    }

    #[test]
    fn entries_are_read() {
        let long = format!("./{}", "x".repeat(120));
        let mut archive = [
            block("./", b'5', "0000755", "", b""),
            block("./etc/a", b'0', "0000640", "", b"text\n"),
            block("./bin/b", b'2', "0000777", "../a", b""),
            block("././@LongLink", b'L', "0000644", "", long.as_bytes()),
            block("./xx", b'0', "0004755", "", &[7; 600]),
            block("./c", b'1', "0000644", "./etc/a", b""),
        ]
        .concat();
        archive.extend([0; 1024]);
        let found = members(archive.as_slice(), |member| member.path == "/etc/a").unwrap();
        assert_eq!(
            found.iter().map(|member| member.path.as_str()).take(3).collect::<Vec<_>>(),
            ["/", "/etc/a", "/bin/b"]
        );
        assert_eq!(
            (found[1].mode, found[1].group.as_str(), found[1].data.as_deref()),
            (0o640, "adm", Some(&b"text\n"[..]))
        );
        assert_eq!(found[2].kind, MemberKind::Symlink("../a".into()));
        assert_eq!((found[3].path.len(), found[3].mode, found[3].size), (121, 0o4755, 600));
        assert_eq!(found[4].kind, MemberKind::Hardlink("/etc/a".into()));
    }

    #[test]
    fn names_of_pax_are_read() {
        assert_eq!(pax(b"99 path=/a b/c\n"), []);
        assert_eq!(pax(b"15 path=/a b/c\n"), [("path".to_owned(), "/a b/c".to_owned())]);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let archive = block("./a", b'0', "0000644", "", &[1; 600]);
        assert!(members(&archive[..700], |_| true).is_err());
    }
}

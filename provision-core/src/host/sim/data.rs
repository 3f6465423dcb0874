//! The installations and packages of Debian that were recorded: kept compressed (zstd, RFC 8878) in the program, and unpacked
//! when they are first asked for.

use std::io::Read;
use std::sync::LazyLock;

type Text = LazyLock<String>;

/// A minimal installation of a release, by its number; `None` for one that was not recorded.
pub(super) fn host(release: &str) -> Option<&'static str> {
    static HOSTS: [Text; 2] = [
        LazyLock::new(|| unpacked(include_bytes!("../../../data/debian-12.host.zst"))),
        LazyLock::new(|| unpacked(include_bytes!("../../../data/debian-13.host.zst"))),
    ];
    place(release).map(|place| HOSTS[place].as_str())
}

/// The packages of a release, by its number; `None` for one that was not recorded.
pub(super) fn packages(release: &str) -> Option<&'static str> {
    static PACKAGES: [Text; 2] = [
        LazyLock::new(|| unpacked(include_bytes!("../../../data/debian-12.packages.zst"))),
        LazyLock::new(|| unpacked(include_bytes!("../../../data/debian-13.packages.zst"))),
    ];
    place(release).map(|place| PACKAGES[place].as_str())
}

fn place(release: &str) -> Option<usize> {
    ["12", "13"].iter().position(|known| *known == release)
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder =
        ruzstd::decoding::StreamingDecoder::new(bytes).expect("the built-in data is compressed with zstd");
    decoder.read_to_string(&mut text).expect("the built-in data is whole");
    text
}

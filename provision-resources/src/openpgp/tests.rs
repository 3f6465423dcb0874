use super::*;
use proptest::prelude::*;

pub(crate) const EXAMPLE: &str = include_str!("example.asc");
pub(crate) const EXAMPLE_FINGERPRINT: &str = "82A3A38C0D96BD16FFC5AE476E43A7FD71F73C35";
pub(crate) const OTHER: &str = include_str!("other.asc");

#[test]
fn the_fingerprint_is_the_one_that_gpg_tells() {
    let key = key_block(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(fingerprints(&key).unwrap(), [EXAMPLE_FINGERPRINT]);
    let both = [key, key_block(OTHER.as_bytes()).unwrap()].concat();
    assert_eq!(fingerprints(&both).unwrap(), [EXAMPLE_FINGERPRINT, "4A9D11A4D58E96423C159B7F9958282056C99B12"]);
}

#[test]
fn the_armour_comes_out_as_it_went_in() {
    assert_eq!(armoured(&key_block(EXAMPLE.as_bytes()).unwrap()), EXAMPLE);
    let with_headers = EXAMPLE.replacen("\n\n", "\nVersion: 1\nComment: a: b\n\n", 1).replace('\n', "\r\n");
    assert_eq!(key_block(with_headers.as_bytes()), key_block(EXAMPLE.as_bytes()));
}

#[test]
fn what_is_no_public_key_is_refused() {
    let of = |text: &str| key_block(text.as_bytes()).and_then(|bytes| fingerprints(&bytes)).unwrap_err();
    assert_eq!(of(&EXAMPLE.replace("PUBLIC", "PRIVATE")), "it is a private key");
    assert_eq!(of(&format!("{EXAMPLE}{OTHER}")), "there is more than one block, of which apt would read the first");
    assert_eq!(
        of(&EXAMPLE.replace("TNOmEYq0", "TNOmEYq1")),
        "its checksum is wrong: something is missing or was changed"
    );
    assert_eq!(of(EXAMPLE.split_once("-----END").unwrap().0), "its end is missing");
    assert_eq!(of("<html>Not found</html>"), "it is no key of OpenPGP");
    assert_eq!(of(""), "there is no key in it");
    assert_eq!(
        of(&EXAMPLE.replace("KEY BLOCK", "SIGNATURE")).split(',').next(),
        Some("it begins with \"-----BEGIN PGP PUBLIC SIGNATURE-----\"")
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = key_block(&bytes).and_then(|bytes| fingerprints(&bytes));
        prop_assert_eq!(key_block(armoured(&bytes).as_bytes()), Ok(bytes));
    }

    #[test]
    fn a_key_that_was_cut_or_changed_is_never_taken_for_the_same(at in 0usize..300, flip in 1u8..) {
        let key = key_block(EXAMPLE.as_bytes()).unwrap();
        let at = at % 53;
        let mut changed = key.clone();
        changed[at] ^= flip;
        prop_assert_ne!(fingerprints(&changed), Ok(vec![EXAMPLE_FINGERPRINT.to_owned()]));
        prop_assert_ne!(fingerprints(&key[..at]), Ok(vec![EXAMPLE_FINGERPRINT.to_owned()]));
    }
}

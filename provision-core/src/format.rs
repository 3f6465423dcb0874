//! [`Format`]: what a file that outlives the program says of itself, so that any later version knows it.

use crate::error::{Error, ErrorKind, Result};

/// A format of files that are kept between versions of this program.
///
/// A file begins with the line `provision NAME VERSION`. A reader takes its own version and all that came before; a file of a
/// later one it refuses by name, and leaves it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Its name in files.
    pub(crate) name: &'static str,
    /// One of its files, in a message: `the ledger`.
    pub(crate) noun: &'static str,
    /// The version that is written, and the latest that is read.
    pub(crate) version: u32,
}

/// What follows the first line of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    Whole(&'a [u8]),
    /// The first line was not written to its end.
    Torn,
}

impl Format {
    /// The first line, with its end.
    pub(crate) fn header(&self) -> String {
        format!("provision {} {}\n", self.name, self.version)
    }

    /// What follows the first line.
    ///
    /// # Errors
    /// It is no file of this format ([`ErrorKind::Damaged`]), or of a later version ([`ErrorKind::Newer`]).
    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> Result<Body<'a>> {
        let start = format!("provision {} ", self.name).into_bytes();
        let torn = if bytes.len() < start.len() { start.starts_with(bytes) } else { false };
        if torn {
            return Ok(Body::Torn);
        }
        let rest = bytes.strip_prefix(&*start).ok_or_else(|| self.damaged())?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let version = std::str::from_utf8(&rest[..digits]).unwrap_or_default();
        match rest.get(digits) {
            None if digits < 10 => Ok(Body::Torn),
            Some(b'\n') if !version.starts_with('0') => {
                self.admit(version.parse().map_err(|_| self.damaged())?)?;
                Ok(Body::Whole(&rest[digits + 1..]))
            }
            _ => Err(self.damaged()),
        }
    }

    /// What follows the first line of a file that was put in place whole.
    ///
    /// # Errors
    /// As [`body`](Format::body), or it was cut off.
    pub(crate) fn whole_body<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        match self.body(bytes)? {
            Body::Whole(body) => Ok(body),
            Body::Torn => Err(self.damaged()),
        }
    }

    /// Accepts this version, and all that came before.
    ///
    /// # Errors
    /// It is a later one ([`ErrorKind::Newer`]).
    pub(crate) fn admit(&self, version: u32) -> Result<()> {
        let Format { noun, version: known, .. } = self;
        if version <= *known {
            return Ok(());
        }
        let message = format!(
            "{noun} was written by a newer version of provision (format {version}; this program reads up to {known})"
        );
        Err(Error::new(ErrorKind::Newer, message).with_hint("upgrade provision here; the file is left as it is"))
    }

    fn damaged(&self) -> Error {
        Error::new(
            ErrorKind::Damaged,
            format!("{} is damaged: its first line is not {:?}", self.noun, self.header().trim_end()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THING: Format = Format { name: "thing", noun: "the thing", version: 2 };

    #[test]
    fn versions_up_to_the_known_one_are_read_and_later_ones_refused_by_name() {
        assert_eq!(THING.header(), "provision thing 2\n");
        assert_eq!(THING.whole_body(b"provision thing 1\nx").unwrap(), b"x");
        assert_eq!(THING.whole_body(b"provision thing 2\n").unwrap(), b"");
        let error = THING.whole_body(b"provision thing 13\nx").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Newer);
        assert_eq!(
            error.message(),
            "the thing was written by a newer version of provision (format 13; this program reads up to 2)"
        );
        for other in
            ["provision things 1\n", "provision thing 0\n", "provision thing 01\n", "provision thing 1 \n", "{}\n"]
        {
            assert_eq!(THING.body(other.as_bytes()).unwrap_err().kind(), ErrorKind::Damaged, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_first_line_that_was_cut_off_is_known(cut in 0usize..18) {
            let header = THING.header();
            prop_assert_eq!(THING.body(&header.as_bytes()[..cut.min(header.len() - 1)]).unwrap(), Body::Torn);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = THING.body(&bytes);
            let _ = THING.body(&[b"provision thing ", &*bytes].concat());
        }
    }
}

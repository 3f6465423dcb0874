//! What renderers write, kept for the tests of them; each thread has its own.

use std::cell::RefCell;
use std::io::{self, Write};

thread_local! {
    static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A stream that keeps what is written.
pub struct Stream;

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.with_borrow_mut(|written| written.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub type Out = Stream;
pub type Diagnostics = Stream;
pub type Documents = Stream;

pub fn out() -> Out {
    Stream
}

pub fn diagnostics() -> Diagnostics {
    Stream
}

pub fn documents() -> Documents {
    Stream
}

/// What was written since the last call.
pub fn take() -> String {
    WRITTEN.with_borrow_mut(|written| String::from_utf8(std::mem::take(written)).unwrap())
}

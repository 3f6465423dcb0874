//! The streams of this process.

use std::io::{StderrLock, StdoutLock};

use anstream::AutoStream;

pub type Out = AutoStream<StdoutLock<'static>>;
pub type Diagnostics = AutoStream<StderrLock<'static>>;
pub type Documents = StdoutLock<'static>;

#[expect(clippy::disallowed_methods, reason = "what is written passes the writer that shows control characters")]
pub fn out() -> Out {
    anstream::stdout().lock()
}

#[expect(clippy::disallowed_methods, reason = "what is written passes the writer that shows control characters")]
pub fn diagnostics() -> Diagnostics {
    anstream::stderr().lock()
}

pub fn documents() -> Documents {
    crate::output::raw()
}

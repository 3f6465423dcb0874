//! Errors for people: what, why, and what would help, on standard error.

use std::io::Write;

use provision_core::error::Error;

use super::{foreign, style};
use crate::exit::Failure;
use crate::output;

/// Shows why a command could not do its work.
pub fn show(failure: &Failure) {
    let mut out = output::stderr();
    let style = style::FAIL;
    let _ = match failure {
        Failure::Invalid(diagnostics) => return super::diagnostics::all(diagnostics),
        Failure::Failed(error) | Failure::Locked(error) | Failure::Output(error) => {
            writeln!(out, "{style}error{style:#}: {}", foreign::line(error))
                .and_then(|()| details(&mut out, "  ", error))
        }
        Failure::Secrets(errors) => errors.0.iter().try_for_each(|error| secret(&mut out, error)),
        Failure::Usage(message) => {
            writeln!(out, "{style}error{style:#}: {}\n\nFor more information, try '--help'.", foreign::line(message))
        }
        Failure::Tests(failure) => {
            writeln!(out, "{style}error{style:#}: {}", super::tests::lines(failure).join("\n"))
        }
        Failure::OutputClosed => Ok(()),
    };
}

/// A secret that cannot be read, and who needs it.
fn secret(out: &mut impl Write, error: &Error) -> std::io::Result<()> {
    let style = style::FAIL;
    write!(out, "{style}error{style:#}: ")?;
    if let Some(id) = error.resource() {
        write!(out, "{}: ", foreign::line(id))?;
    }
    writeln!(out, "{}", foreign::line(error))?;
    if let Some(span) = error.declared_at() {
        writeln!(out, "  --> {}:{}:{}", foreign::line(&span.file), span.line, span.column)?;
    }
    details(out, "  ", error)
}

/// Shows what lies beneath an error and what would help, a line each.
pub fn details(out: &mut impl Write, indent: &str, error: &Error) -> std::io::Result<()> {
    for line in error.cause().unwrap_or_default().lines() {
        writeln!(out, "{indent}| {}", foreign::content(line))?;
    }
    if let Some(hint) = error.hint() {
        let style = style::HINT;
        writeln!(out, "{indent}{style}hint{style:#}: {}", foreign::line(hint))?;
    }
    Ok(())
}

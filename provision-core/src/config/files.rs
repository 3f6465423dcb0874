//! The one place of the configuration module that looks at the file system itself; Nickel reads what is imported.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nickel_lang_core::cache::{InputFormat, normalize_path};

use crate::diagnostic::Diagnostic;

use super::SiteSource;

/// The directory that texts without a file, and the contract library, pretend to lie in. An import path of this
/// name makes `import "provision.ncl"` find the library. The zero byte keeps it apart from any real directory.
pub(super) const NOWHERE: &str = "/\0provision";

/// A source of the site that was read.
pub(super) struct Loaded {
    /// What diagnostics call it.
    pub name: String,
    /// The absolute path that Nickel knows it by.
    pub path: PathBuf,
    /// Whether there is a file of that path.
    pub on_disk: bool,
    pub format: InputFormat,
    pub text: String,
}

/// Reads every source, or says which cannot be read.
pub(super) fn load(sources: &[SiteSource]) -> (Vec<Loaded>, Vec<Diagnostic>) {
    let mut loaded = Vec::new();
    let mut diagnostics = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        match source {
            SiteSource::Text { name, text } => loaded.push(Loaded {
                name: name.clone(),
                path: Path::new(NOWHERE).join(index.to_string()).join("text"),
                on_disk: false,
                format: InputFormat::Nickel,
                text: text.clone(),
            }),
            // A site may come through a pipe, which is read once.
            SiteSource::File(path) => match read(path).and_then(|text| Ok((text, absolute(path)?))) {
                Ok((text, absolute)) => loaded.push(Loaded {
                    name: path.display().to_string(),
                    path: absolute,
                    on_disk: true,
                    format: InputFormat::from_path(path).unwrap_or_default(),
                    text,
                }),
                Err(why) => diagnostics
                    .push(Diagnostic::error(format!("cannot read the site file `{}`: {why}", path.display()))),
            },
        }
    }
    (loaded, diagnostics)
}

/// The path as Nickel normalises it, from the working directory.
fn absolute(path: &Path) -> Result<PathBuf, String> {
    normalize_path(path).map_err(|error| describe(&error))
}

/// The working directory, with which imported files are named shortly.
pub(super) fn working_directory() -> Option<PathBuf> {
    normalize_path(".").ok()
}

/// The text of a file, or why there is none in words.
#[expect(clippy::disallowed_methods, reason = "site files lie where the program runs, not on a managed host")]
pub(super) fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| describe(&error))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Whether there is a regular file: one that can be read again.
#[expect(clippy::disallowed_methods, reason = "site files lie where the program runs, not on a managed host")]
pub(super) fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether there is something that an import could read.
#[expect(clippy::disallowed_methods, reason = "site files lie where the program runs, not on a managed host")]
pub(super) fn is_readable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_dir())
}

/// What tells this program from another build of it: its size, and when it was written, in seconds and nanoseconds.
#[expect(clippy::disallowed_methods, reason = "the program is no part of a managed host")]
pub(super) fn this_program() -> Option<(u64, i64, i64)> {
    let found = std::fs::metadata("/proc/self/exe").ok()?;
    Some((found.size(), found.mtime(), found.mtime_nsec()))
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

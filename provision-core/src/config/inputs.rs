//! What an evaluation depends on, beside what was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nickel_lang_core::cache::{SourcePath, normalize_path};
use nickel_lang_core::files::FileId;

use super::files::NOWHERE;
use super::session::{LIBRARY, Session};

/// What an evaluation depends on, beside what was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    /// The files that were read, with the texts that were found in them.
    pub(super) files: BTreeMap<PathBuf, Arc<str>>,
    /// Files in whose place the contract library was imported: it matters that they are there, not what is in them.
    pub(super) shadows: BTreeSet<PathBuf>,
    /// Where imports may have been looked for before they were found elsewhere: a file there would be imported.
    pub(super) preferred: BTreeSet<PathBuf>,
    /// Paths of the facts that were used.
    pub(super) facts: BTreeSet<Vec<String>>,
}

impl Session {
    /// What the evaluation has depended on so far.
    pub(super) fn inputs(&self) -> Inputs {
        let sources = &self.context.import_resolver.sources;
        let files = sources.file_paths.keys().filter_map(|file| Some((self.path_on_disk(*file)?, *file)));
        let files: BTreeMap<PathBuf, Arc<str>> =
            files.map(|(path, file)| (path.to_owned(), sources.files().clone_source(file))).collect();
        let known = sources.file_paths.values().filter_map(|source| match source {
            SourcePath::Path(path, _) if !files.contains_key(path) => Some(path),
            _ => None,
        });
        let is_shadow = |path: &&PathBuf| path.file_name().is_some_and(|name| name == LIBRARY);
        let shadows = known.filter(is_shadow).filter(|path| !path.starts_with(NOWHERE)).cloned().collect();
        let import_paths = sources.import_paths.iter().filter(|path| !path.starts_with(NOWHERE));
        let import_paths: Vec<PathBuf> = import_paths.filter_map(|path| normalize_path(path).ok()).collect();
        let mut preferred = BTreeSet::new();
        let imports = &self.context.import_resolver.import_data.imports;
        for (importing, imported) in imports {
            let directory = match sources.file_paths.get(importing) {
                Some(SourcePath::Path(path, _)) => path.parent(),
                _ => None,
            };
            for target in imported {
                let Some(found) = self.path_on_disk(target.file_id) else { continue };
                preferred.extend(before(found, directory, &import_paths));
            }
        }
        preferred.retain(|path| !files.contains_key(path));
        Inputs { files, shadows, preferred, facts: self.watch.used_facts() }
    }

    /// Where a file lies that was read from the disk.
    fn path_on_disk(&self, file: FileId) -> Option<&Path> {
        match self.context.import_resolver.sources.file_paths.get(&file)? {
            SourcePath::Path(path, _) if !self.places.is_named(file) || self.on_disk.contains(path) => Some(path),
            _ => None,
        }
    }
}

/// The places that come before the one where an import was found, whichever way it was named: the directory of the
/// importing file, then the import paths in order, which are absolute and without `..`.
fn before(found: &Path, directory: Option<&Path>, import_paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for (index, path) in import_paths.iter().enumerate() {
        let named = relative(path, found);
        let others = directory.into_iter().chain(import_paths[..index].iter().map(PathBuf::as_path));
        for other in others {
            places.extend(normalize_path(other.join(&named)).ok());
            // A way that leads up to `/` may have been written with more `..` than it takes.
            let levels = path.components().count() - 1;
            if let Ok(from_root) = found.strip_prefix("/")
                && named.components().take(levels).all(|step| step == Component::ParentDir)
            {
                places.extend(other.ancestors().skip(levels).map(|above| above.join(from_root)));
            }
        }
    }
    places
}

/// The way from a directory to a file, both absolute and without `..`.
fn relative(directory: &Path, file: &Path) -> PathBuf {
    let (mut from, mut to) = (directory.components().peekable(), file.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    from.map(|_| Component::ParentDir).chain(to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_an_import_path_is_known() {
        let paths = ["/lib/a", "/lib/b"].map(PathBuf::from);
        let before = |found: &str| before(Path::new(found), Some(Path::new("/site")), &paths);
        // `import "x.ncl"` found in /lib/b; or `import "../b/x.ncl"`, from /lib/a on.
        let places = ["/b/x.ncl", "/site/x.ncl", "/lib/a/x.ncl"].map(PathBuf::from);
        assert_eq!(before("/lib/b/x.ncl"), places);
        // `import "../x.ncl"`, from / on.
        let before = super::before(Path::new("/x.ncl"), Some(Path::new("/site/a")), &[PathBuf::from("/")]);
        assert!(before.contains(&PathBuf::from("/site/x.ncl")), "{before:?}");
    }
}

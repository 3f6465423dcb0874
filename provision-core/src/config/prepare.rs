//! From texts to expressions: syntax, imports and types.

use std::path::PathBuf;

use nickel_lang_core::cache::{InputFormat, SourcePath, TermEntry, TermEntryState, normalize_path};
use nickel_lang_core::error::{Error, ImportErrorKind, IntoDiagnostics};
use nickel_lang_core::files::FileId;

use crate::diagnostic::Diagnostic;

use super::session::{LIBRARY, Session};
use super::{data, errors};

/// Texts that are imported in the place of files.
#[derive(Default)]
pub(super) struct StandIns {
    /// Paths of real files named like the library: imports of them get the library as well.
    pub shadows: Vec<PathBuf>,
    /// Imports that failed. Nickel stops at the first: with an empty record in its place, the next one shows.
    pub failed_imports: Vec<PathBuf>,
}

/// Each takes another run of the parser.
const MAX_STAND_INS: usize = 50;

impl StandIns {
    /// Adds the paths that are new, and says whether any is.
    pub(super) fn take_in(list: &mut Vec<PathBuf>, paths: Vec<PathBuf>) -> bool {
        let before = list.len();
        for path in paths {
            if !list.contains(&path) && list.len() < MAX_STAND_INS {
                list.push(path);
            }
        }
        list.len() > before
    }
}

/// What came of resolving imports and checking types.
#[derive(Default)]
pub(super) struct Prepared {
    /// Errors that leave the site fit to be evaluated.
    pub mild: Vec<Diagnostic>,
    pub fatal: Vec<Diagnostic>,
    pub failed_imports: Vec<PathBuf>,
    /// Files on disk that were imported under the name of the library. They are for editors, and may be old.
    pub shadows: Vec<PathBuf>,
}

impl Session {
    /// Parses every part, and says all that is wrong with their syntax.
    pub(super) fn parse(&mut self) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for file in self.parts.clone() {
            if self.cache().input_format(file).unwrap_or_default() != InputFormat::Nickel {
                continue;
            }
            if let Err(errors) = self.cache().parse_to_ast(file) {
                let mut described = self.describe(Error::ParseErrors(errors));
                if is_blank(self.cache().sources.source(file)) {
                    for diagnostic in &mut described {
                        diagnostic.message = "this is empty, and a site is a record".to_owned();
                        diagnostic.help =
                            Some("write `{ resources = { .. } }`, or `{}` for a site of nothing".to_owned());
                    }
                }
                diagnostics.extend(described);
            }
        }
        diagnostics
    }

    /// Resolves imports and checks types in every part.
    pub(super) fn prepare(&mut self) -> Prepared {
        let mut prepared = Prepared::default();
        for file in self.parts.clone() {
            let Err(mut error) = self.prepare_part(file, true) else { continue };
            let import = errors::import_error(&error);
            if import.is_none() && matches!(error, Error::TypecheckError(_)) {
                prepared.mild.extend(self.describe(error));
                match self.prepare_part(file, false) {
                    Ok(()) => continue,
                    Err(graver) => error = graver,
                }
            }
            if let Some(import) = errors::import_error(&error) {
                prepared.failed_imports.extend(self.failed_import(&import));
            }
            prepared.fatal.extend(self.describe(error));
        }
        prepared.shadows = self.shadows();
        prepared
    }

    /// As [`VmContext::prepare_eval`](nickel_lang_core::eval::VmContext::prepare_eval), but for the values, and with what
    /// is done to expressions before they are evaluated.
    fn prepare_part(&mut self, part: FileId, typechecked: bool) -> Result<(), Error> {
        let context = &mut self.context;
        let cache = &mut context.import_resolver;
        cache.prepare_stdlib(&mut context.pos_table)?;
        context.register_extend_env_for_typecheck();
        let cache = &mut context.import_resolver;
        if cache.input_format(part).unwrap_or_default() == InputFormat::Nickel {
            cache.parse_to_ast(part)?;
            if typechecked {
                self.typecheck(part)?;
            }
            let context = &mut self.context;
            let cache = &mut context.import_resolver;
            let compiled = cache.compile(&mut context.pos_table, part);
            compiled.map_err(|error| Error::ImportError(error.unwrap_error("it was parsed")))?;
            let fresh = self.compiled();
            if self.watches_branches {
                self.mark_branches(&fresh);
            }
            self.join_pieces(&fresh);
        }
        let context = &mut self.context;
        let cache = &mut context.import_resolver;
        match typechecked {
            true => cache.prepare(&mut context.pos_table, part).map(drop),
            false => cache.prepare_eval_only(&mut context.pos_table, part).map(drop),
        }
    }

    /// The files of the site that were compiled, and nothing has been done with yet.
    fn compiled(&self) -> Vec<FileId> {
        let files = self.files();
        let terms = self.context.import_resolver.terms.terms().iter();
        let is_fresh =
            |entry: &TermEntry| entry.format == InputFormat::Nickel && entry.state == TermEntryState::Populated;
        let fresh = terms.filter(|(_, entry)| is_fresh(entry)).map(|(file, _)| *file);
        fresh.filter(|file| self.places.is_site_file(&files, *file)).collect()
    }

    /// The file that an import failed for, as Nickel would look it up.
    fn failed_import(&self, error: &ImportErrorKind) -> Option<PathBuf> {
        let sources = &self.context.import_resolver.sources;
        match error {
            ImportErrorKind::IOError(path, _, position) => {
                let importing = position.src_id().and_then(|file| sources.file_paths.get(&file))?;
                let SourcePath::Path(importing, _) = importing else { return None };
                normalize_path(importing.with_file_name(path)).ok()
            }
            ImportErrorKind::ParseErrors(errors, _) => {
                let mut files = sources.files().clone();
                let reports = errors.clone().into_diagnostics(&mut files);
                let file = reports.iter().flat_map(|report| &report.labels).map(|label| label.file_id).next()?;
                match sources.file_paths.get(&file)? {
                    SourcePath::Path(path, _) => Some(path.clone()),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Makes imported data fit to be merged.
    pub(super) fn close_data(&mut self) {
        let context = &mut self.context;
        let terms = &mut context.import_resolver.terms;
        let is_data = |entry: &TermEntry| !matches!(entry.format, InputFormat::Nickel | InputFormat::Text);
        let imported = terms.terms().iter().filter(|(_, entry)| is_data(entry));
        let imported: Vec<_> = imported.map(|(file, entry)| (*file, entry.clone())).collect();
        for (file, mut entry) in imported {
            entry.value = data::closed(&mut context.cache, entry.value);
            terms.insert(file, entry);
        }
    }

    /// Files on disk that were imported under the name of the library.
    fn shadows(&self) -> Vec<PathBuf> {
        self.read_from_disk().filter(|path| path.file_name().is_some_and(|name| name == LIBRARY)).collect()
    }
}

/// Whether a text holds nothing but comments.
fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

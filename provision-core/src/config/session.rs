//! A Nickel machine with the files of one site in it.

use std::path::{Path, PathBuf};

use nickel_lang_core::cache::{CacheHub, InputFormat, SourcePath, normalize_path};
use nickel_lang_core::error::{Error, EvalError, ImportErrorKind, IntoDiagnostics, NullReporter};
use nickel_lang_core::eval::cache::{Cache, CacheImpl};
use nickel_lang_core::eval::value::NickelValue;
use nickel_lang_core::eval::{Closure, Environment, VirtualMachine, VmContext};
use nickel_lang_core::files::{FileId, Files};
use nickel_lang_core::identifier::Ident;
use nickel_lang_core::ast::MergeKind;
use nickel_lang_core::label::{Label, MergeLabel};
use nickel_lang_core::position::{PosIdx, RawSpan};
use nickel_lang_core::term::{BinaryOp, BindingType, RuntimeContract, Term, UnaryOp, make};
use nickel_lang_core::typ::{Type, TypeF};

use crate::diagnostic::Diagnostic;

use super::files::{Loaded, NOWHERE, working_directory};
use super::places::{Origin, Places};
use super::{Request, errors};

/// The name by which a site imports the contract library.
pub(super) const LIBRARY: &str = "provision.ncl";

/// Where the library with the real contracts lies, for [`SITE_CONTRACT`] to import.
const STRICT_LIBRARY: &str = "contracts.ncl";

/// The contract that is applied to the site.
const SITE_CONTRACT: &str = "(import \"contracts.ncl\").Site";

/// Texts that are imported in the place of files.
#[derive(Default)]
pub(super) struct StandIns {
    /// Paths of real files named like the library: imports of them get the library as well.
    pub shadows: Vec<PathBuf>,
    /// Imports that failed. Nickel stops at the first: with an empty record in its place, the next one shows.
    pub failed_imports: Vec<PathBuf>,
}

/// Imports that fail beyond this many are not looked for.
const MAX_FAILED_IMPORTS: usize = 50;

impl StandIns {
    /// Adds what is new, and says whether anything is.
    pub(super) fn take_in(&mut self, shadows: Vec<PathBuf>, failed_imports: Vec<PathBuf>) -> bool {
        let before = self.shadows.len() + self.failed_imports.len();
        for (list, news) in [(&mut self.shadows, shadows), (&mut self.failed_imports, failed_imports)] {
            for path in news {
                if !list.contains(&path) && list.len() < MAX_FAILED_IMPORTS {
                    list.push(path);
                }
            }
        }
        self.shadows.len() + self.failed_imports.len() > before
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

/// A Nickel machine, and what it was made from.
pub(super) struct Session {
    context: VmContext<CacheHub, CacheImpl>,
    environment: Environment,
    pub(super) places: Places,
    /// The parts of the site in the order they merge: files, then overrides.
    parts: Vec<FileId>,
    on_disk: Vec<PathBuf>,
}

impl Session {
    /// A machine that knows the sources, the library and the facts; nothing is parsed yet.
    pub(super) fn open(request: &Request<'_>, loaded: &[Loaded], library: &str, stand_ins: &StandIns) -> Session {
        let relative = loaded.iter().any(|source| source.on_disk && !Path::new(&source.name).is_absolute());
        let mut places = Places::relative_to(if relative { working_directory() } else { None });
        let mut cache = CacheHub::new();
        let nowhere = Path::new(NOWHERE);
        for path in std::iter::once(nowhere.join(LIBRARY)).chain(stand_ins.shadows.iter().cloned()) {
            let path = SourcePath::Path(path, InputFormat::Nickel);
            let file = cache.sources.add_string(path, library.to_owned());
            places.name(file, LIBRARY, Origin::Library);
        }
        for path in &stand_ins.failed_imports {
            let format = InputFormat::from_path(path).unwrap_or_default();
            let empty = if format == InputFormat::Toml { "" } else { "{}" };
            let file = cache.sources.add_string(SourcePath::Path(path.clone(), format), empty.to_owned());
            places.name(file, &path.display().to_string(), Origin::MadeUp);
        }
        let mut parts = Vec::new();
        for source in loaded {
            let path = SourcePath::Path(source.path.clone(), source.format);
            let file = cache.sources.add_string(path, source.text.clone());
            places.name(file, &source.name, Origin::User);
            parts.push(file);
        }
        let import_paths = request.import_paths.iter().cloned();
        cache.sources.add_import_paths(import_paths.chain([nowhere.to_owned()]));
        let facts = facts(request.facts);
        let context = VmContext::new(cache, std::io::sink(), NullReporter {});
        let on_disk = loaded.iter().filter(|source| source.on_disk).map(|source| source.path.clone()).collect();
        Session { context: context.with_extend_env(vec![facts]), environment: Environment::new(), places, parts, on_disk }
    }

    /// The machinery of files and positions, for what adds sources of its own.
    pub(super) fn cache(&mut self) -> &mut CacheHub {
        &mut self.context.import_resolver
    }

    /// Merges one more Nickel text over the site.
    pub(super) fn add_part(&mut self, text: String) -> FileId {
        let path = Path::new(NOWHERE).join(format!("part-{}", self.parts.len()));
        let file = self.cache().sources.add_string(SourcePath::Path(path, InputFormat::Nickel), text);
        self.parts.push(file);
        file
    }

    /// Parses every part, and says all that is wrong with their syntax.
    pub(super) fn parse(&mut self) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for file in self.parts.clone() {
            if self.cache().input_format(file).unwrap_or_default() != InputFormat::Nickel {
                continue;
            }
            if let Err(errors) = self.cache().parse_to_ast(file) {
                diagnostics.extend(self.describe(Error::ParseErrors(errors)));
            }
        }
        diagnostics
    }

    /// Resolves imports and checks types in every part.
    pub(super) fn prepare(&mut self) -> Prepared {
        let mut prepared = Prepared::default();
        for file in self.parts.clone() {
            let Err(mut error) = self.context.prepare_eval(file) else { continue };
            let import = errors::import_error(&error);
            if import.is_none() && matches!(error, Error::TypecheckError(_)) {
                prepared.mild.extend(self.describe(error));
                match self.context.prepare_eval_only(file) {
                    Ok(_) => continue,
                    Err(graver) => error = graver,
                }
            }
            if let Some(import) = errors::import_error(&error) {
                prepared.failed_imports.extend(self.failed_import(&import));
            }
            prepared.fatal.extend(self.describe(error));
        }
        let mut environment = self.context.import_resolver.mk_eval_env(&mut self.context.cache);
        for (name, value) in &self.context.extend_env {
            environment.insert(*name, self.context.cache.add(value.clone().into(), BindingType::Normal));
        }
        self.environment = environment;
        prepared.shadows = self.shadows();
        prepared
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

    /// The merged site, unevaluated.
    pub(super) fn site(&self) -> NickelValue {
        let label = MergeLabel { span: PosIdx::NONE, kind: MergeKind::Standard };
        let mut parts = self.parts.iter().map(|&file| NickelValue::from(Term::ResolvedImport(file)));
        let first = parts.next().unwrap_or_else(NickelValue::empty_record);
        parts.fold(first, |site, part| make::op2(BinaryOp::Merge(label), site, part))
    }

    /// The site under the `Site` contract of this library.
    pub(super) fn under_contract(&mut self, site: NickelValue, library: &str) -> Result<NickelValue, Error> {
        let path = SourcePath::Path(Path::new(NOWHERE).join(STRICT_LIBRARY), InputFormat::Nickel);
        let file = self.cache().sources.add_string(path, library.to_owned());
        self.places.name(file, LIBRARY, Origin::Library);
        let path = SourcePath::Path(Path::new(NOWHERE).join("site-contract"), InputFormat::Nickel);
        let file = self.cache().sources.add_string(path, SITE_CONTRACT.to_owned());
        self.places.name(file, LIBRARY, Origin::Library);
        self.context.prepare_eval(file)?;
        let contract = NickelValue::from(Term::ResolvedImport(file));
        // Reports show the type of a label at its position: without one Nickel would print and parse it again.
        let position = RawSpan::from_range(file, 0..SITE_CONTRACT.len());
        let typ = Type { typ: TypeF::Contract(contract.clone()), pos: position.into() };
        let label = Label {
            typ: std::rc::Rc::new(typ),
            span: self.context.pos_table.push(position.into()),
            ..Label::default()
        };
        Ok(RuntimeContract::new(contract, label).apply(site, PosIdx::NONE))
    }

    /// Evaluates to the outermost constructor: the fields of a record stay unevaluated.
    pub(super) fn eval(&mut self, value: NickelValue) -> Result<NickelValue, EvalError> {
        self.eval_closure(value.into())
    }

    /// The same for an expression that is bound to an environment.
    pub(super) fn eval_closure(&mut self, closure: Closure) -> Result<NickelValue, EvalError> {
        // A machine of its own for each value: after an error the machine has to be dropped, and the context must
        // be within reach between two evaluations. The environment is shared, so this costs next to nothing.
        let machine = VirtualMachine::new_empty_env(&mut self.context);
        machine.with_initial_env(self.environment.clone()).eval_closure(closure).map(|closure| closure.value)
    }

    /// Evaluates all that is exported, and says whether that went well.
    pub(super) fn force(&mut self, value: NickelValue) -> bool {
        let forced = make::op1(UnaryOp::Force { ignore_not_exported: true }, value);
        self.eval(forced).is_ok()
    }

    /// The position of a value in a text of the user's.
    pub(super) fn position(&self, position: PosIdx) -> Option<RawSpan> {
        self.context.pos_table.get(position).into_opt()
    }

    /// The context that Nickel wants to describe an error that it did not raise itself.
    pub(super) fn error(&self, error: nickel_lang_core::error::EvalErrorKind) -> Error {
        let pos_table = self.context.pos_table.clone();
        let ctxt = nickel_lang_core::error::EvalCtxt { pos_table, ..Default::default() };
        Error::eval_error(ctxt, error)
    }

    /// What is wrong, for people.
    pub(super) fn describe(&mut self, error: Error) -> Vec<Diagnostic> {
        let files = self.files();
        errors::describe(error, &files, &mut self.places)
    }

    /// The texts that Nickel knows. A copy is cheap.
    pub(super) fn files(&self) -> Files {
        self.context.import_resolver.sources.files().clone()
    }

    fn shadows(&self) -> Vec<PathBuf> {
        self.read_from_disk().filter(|path| path.file_name().is_some_and(|name| name == LIBRARY)).collect()
    }

    /// Every file that was read.
    pub(super) fn files_read(&self) -> Vec<PathBuf> {
        self.read_from_disk().chain(self.on_disk.iter().cloned()).collect()
    }

    /// Paths of the files that Nickel read itself.
    fn read_from_disk(&self) -> impl Iterator<Item = PathBuf> {
        let sources = &self.context.import_resolver.sources;
        sources.file_paths.iter().filter_map(|(file, path)| match path {
            SourcePath::Path(path, _) if !self.places.is_named(*file) && !path.starts_with(NOWHERE) => Some(path.clone()),
            _ => None,
        })
    }
}

/// The binding that makes the facts visible everywhere.
fn facts(facts: &serde_json::Value) -> (Ident, NickelValue) {
    // JSON knows no value that Nickel does not.
    let value = serde_json::from_value(facts.clone()).unwrap_or_else(|_| NickelValue::null());
    (Ident::new("facts"), value)
}

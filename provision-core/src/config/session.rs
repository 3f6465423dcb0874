//! A Nickel machine with the files of one site in it.

use std::path::{Path, PathBuf};

use nickel_lang_core::ast::MergeKind;
use nickel_lang_core::cache::{CacheHub, InputFormat, SourcePath};
use nickel_lang_core::error::{Error, EvalError, NullReporter};
use nickel_lang_core::eval::cache::Cache;
use nickel_lang_core::eval::value::NickelValue;
use nickel_lang_core::eval::{Closure, Environment, VirtualMachine, VmContext};
use nickel_lang_core::files::{FileId, Files};
use nickel_lang_core::identifier::Ident;
use nickel_lang_core::label::{Label, MergeLabel};
use nickel_lang_core::position::{PosIdx, RawSpan};
use nickel_lang_core::term::{BinaryOp, BindingType, RuntimeContract, Term, UnaryOp, make};
use nickel_lang_core::typ::{Type, TypeF};

use crate::diagnostic::Diagnostic;

use super::bounded::BoundedCache;
use super::files::{Loaded, NOWHERE, working_directory};
use super::places::{Origin, Places};
use super::prepare::StandIns;
use super::watch::Watch;
use super::{Request, data, errors, traps};

/// The name by which a site imports the contract library.
pub(super) const LIBRARY: &str = "provision.ncl";

/// The name by which the library knows the facts of the host. A site reads them from the library.
pub(super) const FACTS_OF_HOST: &str = "__facts_of_host";

/// A Nickel machine, and what it was made from. The one that the texts were parsed in evaluates nothing itself: for each
/// host another begins with what it knows.
pub(super) struct Session {
    pub(super) context: VmContext<CacheHub, BoundedCache>,
    pub(super) environment: Environment,
    pub(super) places: Places,
    /// The parts of the site in the order they merge: files, then overrides.
    pub(super) parts: Vec<FileId>,
    /// The contract that is applied to the site, once it is wanted, and the length of its text.
    contract: Option<(FileId, usize)>,
    pub(super) on_disk: Vec<PathBuf>,
    /// Notices what the evaluation makes use of.
    pub(super) watch: Watch,
    /// Whether branches are to be noticed too.
    pub(super) watches_branches: bool,
}

impl Session {
    /// A machine that knows the sources, the library, and that there are facts; nothing is parsed yet.
    pub(super) fn open(
        request: &Request<'_>,
        loaded: &[Loaded],
        library: &str,
        stand_ins: &StandIns,
        watches_branches: bool,
    ) -> Session {
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
        if parts.is_empty() {
            let path = SourcePath::Path(nowhere.join("empty"), InputFormat::Nickel);
            parts.push(cache.sources.add_string(path, "{}".to_owned()));
        }
        let import_paths = request.import_paths.iter().cloned();
        cache.sources.add_import_paths(import_paths.chain([nowhere.to_owned()]));
        let watch = Watch::default();
        let context = VmContext::new(cache, Box::new(watch.clone()), NullReporter {});
        let on_disk = loaded.iter().filter(|source| source.on_disk).map(|source| source.path.clone()).collect();
        Session {
            context: context.with_extend_env(vec![(Ident::new(FACTS_OF_HOST), NickelValue::null())]),
            environment: Environment::new(),
            places,
            parts,
            contract: None,
            on_disk,
            watch,
            watches_branches,
        }
    }

    /// A machine that evaluates what was prepared in this one, for a host of these facts.
    pub(super) fn begin(&self, facts: &serde_json::Value) -> Session {
        let watch = self.watch.begin();
        // Values become thunks when they are closed over, which is done in each machine: none is shared.
        let cache = self.context.import_resolver.clone_for_eval();
        let positions = self.context.pos_table.clone();
        let mut context = VmContext::new_with_pos_table(cache, positions, Box::new(watch.clone()), NullReporter {});
        let mut environment = context.import_resolver.mk_eval_env(&mut context.cache);
        let facts = data::facts(&mut context.cache, facts, &watch);
        environment.insert(Ident::new(FACTS_OF_HOST), context.cache.add(facts.into(), BindingType::Normal));
        let mut session = Session {
            context,
            environment,
            places: self.places.clone(),
            parts: self.parts.clone(),
            contract: self.contract,
            on_disk: self.on_disk.clone(),
            watch,
            watches_branches: self.watches_branches,
        };
        session
            .parts
            .clone()
            .into_iter()
            .chain(session.contract.map(|(file, _)| file))
            .for_each(|file| session.close_over(file));
        session.close_data();
        session
    }

    /// Makes values of what was prepared of a file and of its imports.
    fn close_over(&mut self, file: FileId) {
        // Only of what was not prepared there is nothing, and that is not evaluated either.
        let _ = self.context.import_resolver.closurize(&mut self.context.cache, file);
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

    /// The merged site, unevaluated.
    pub(super) fn site(&self) -> NickelValue {
        let label = MergeLabel { span: PosIdx::NONE, kind: MergeKind::Standard };
        let mut parts = self.parts.iter().map(|&file| NickelValue::from(Term::ResolvedImport(file)));
        let first = parts.next().unwrap_or_else(NickelValue::empty_record);
        parts.fold(first, |site, part| make::op2(BinaryOp::Merge(label), site, part))
    }

    /// Parses the `Site` contract of this library, which lies in a file of this name.
    pub(super) fn prepare_contract(&mut self, name: &str, library: &str) -> Result<(), Error> {
        let path = SourcePath::Path(Path::new(NOWHERE).join(format!("{name}.ncl")), InputFormat::Nickel);
        let file = self.cache().sources.add_string(path, library.to_owned());
        self.places.name(file, LIBRARY, Origin::Library);
        let path = SourcePath::Path(Path::new(NOWHERE).join(format!("{name}-of-site")), InputFormat::Nickel);
        let text = format!("(import \"{name}.ncl\").Site");
        let length = text.len();
        let file = self.cache().sources.add_string(path, text);
        self.places.name(file, LIBRARY, Origin::Library);
        // The library has no types to check, and is checked at each run of the tests.
        self.context.import_resolver.prepare_eval_only(&mut self.context.pos_table, file)?;
        self.contract = Some((file, length));
        Ok(())
    }

    /// The site under the `Site` contract: the one that was prepared, or of this library.
    pub(super) fn under_contract(&mut self, site: NickelValue, library: Option<String>) -> Result<NickelValue, Error> {
        if let Some(library) = library {
            self.prepare_contract("contracts", &library)?;
            self.contract.into_iter().for_each(|(file, _)| self.close_over(file));
        }
        let Some((file, length)) = self.contract else { return Ok(site) };
        let contract = NickelValue::from(Term::ResolvedImport(file));
        // Reports show the type of a label at its position: without one Nickel would print and parse it again.
        let position = RawSpan::from_range(file, 0..length);
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
        let mut diagnostics = errors::describe(error, &files, &mut self.places);
        diagnostics.iter_mut().for_each(|diagnostic| traps::explain(diagnostic, self.places.sources()));
        diagnostics
    }

    /// The texts that Nickel knows. A copy is cheap.
    pub(super) fn files(&self) -> Files {
        self.context.import_resolver.sources.files().clone()
    }

    /// Every file that was read.
    pub(super) fn files_read(&self) -> Vec<PathBuf> {
        self.read_from_disk().chain(self.on_disk.iter().cloned()).collect()
    }

    /// Paths of the files that Nickel read itself.
    pub(super) fn read_from_disk(&self) -> impl Iterator<Item = PathBuf> {
        let sources = &self.context.import_resolver.sources;
        sources.file_paths.iter().filter_map(|(file, path)| match path {
            SourcePath::Path(path, _) if !self.places.is_named(*file) && !path.starts_with(NOWHERE) => {
                Some(path.clone())
            }
            _ => None,
        })
    }
}

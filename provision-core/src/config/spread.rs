//! Checks the types of what a record declares in many pieces.
//!
//! The type checker puts pieces together one after the other, which takes time that grows with the square of their number
//! (see [`pieces`](super::pieces)). For it alone, each piece gets a field of its own. That makes no difference where no
//! expression of the file refers to the field, and no piece has a type annotation; otherwise the file is checked as it is.

use std::collections::{HashMap, HashSet};

use nickel_lang_core::ast::primop::PrimOp;
use nickel_lang_core::ast::record::{FieldDef, FieldPathElem, Record};
use nickel_lang_core::ast::typ::TypeF;
use nickel_lang_core::ast::{Ast, AstAlloc, Node};
use nickel_lang_core::cache::{AstEntryState, AstResolver, InputFormat};
use nickel_lang_core::error::Error;
use nickel_lang_core::files::FileId;
use nickel_lang_core::identifier::{Ident, LocIdent};
use nickel_lang_core::traverse::{TraverseAlloc, TraverseControl};
use nickel_lang_core::typecheck::{TypecheckMode, UnifType, mk_initial_ctxt, typecheck};

use super::session::{FACTS_OF_HOST, Session};

/// Fewer pieces are checked as they are.
const MANY: usize = 50;

impl Session {
    /// Checks the types of a file that was parsed, and of what it imports.
    pub(super) fn typecheck(&mut self, file: FileId) -> Result<(), Error> {
        if !self.typecheck_spread(file)? {
            let checked = self.cache().typecheck(file, TypecheckMode::Walk);
            checked.map_err(|error| error.unwrap_error("it was parsed"))?;
            return Ok(());
        }
        let imports = self.cache().import_data.imports.get(&file).into_iter().flatten();
        let imports: Vec<FileId> =
            imports.filter(|target| target.format == InputFormat::Nickel).map(|target| target.file_id).collect();
        for import in imports {
            self.cache().parse_to_ast(import)?;
            let checked = self.cache().typecheck(import, TypecheckMode::Walk);
            checked.map_err(|error| error.unwrap_error("it was parsed"))?;
        }
        Ok(())
    }

    /// Checks a file of many pieces with a field for each of them; `false` if that is not what it is.
    fn typecheck_spread(&mut self, file: FileId) -> Result<bool, Error> {
        let modules: Vec<_> = self.cache().sources.stdlib_modules().collect();
        let (slice, asts) = self.cache().split_asts();
        {
            let alloc = AstAlloc::new();
            let Some(ast) = asts.get(file) else { return Ok(false) };
            let Some(ast) = spread(&alloc, ast) else { return Ok(false) };
            let ast = alloc.alloc(ast);
            let library = modules.into_iter().filter_map(|(module, file)| Some((module, asts.get(file)?)));
            let Ok(mut context) = mk_initial_ctxt(&alloc, library) else { return Ok(false) };
            context.type_env.insert(Ident::new(FACTS_OF_HOST), UnifType::concrete(TypeF::Dyn));
            let mut imported = HashMap::new();
            let mut resolver = AstResolver::new(&alloc, &mut imported, slice);
            // A type that is left open has to be known when the file is compiled.
            if !typecheck(&alloc, ast, context, &mut resolver, TypecheckMode::Walk)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(asts.update_state(file, AstEntryState::Typechecked).is_ok())
    }
}

/// The same file with a field for each piece, if there are many.
fn spread<'ast>(alloc: &'ast AstAlloc, ast: &'ast Ast<'ast>) -> Option<Ast<'ast>> {
    let mut spreading = Spreading { alloc, used: HashSet::new(), spread: 0 };
    if !has_many(ast) {
        return None;
    }
    spreading.note_used(ast);
    let spread = spreading.tree(ast);
    (spreading.spread > 0).then_some(spread)
}

/// Whether a record has many fields that are declared by paths.
fn has_many(ast: &Ast<'_>) -> bool {
    let many = |node: &Ast<'_>, (): &()| match &node.node {
        Node::Record(record) if record.field_defs.iter().filter(|field| field.path.len() > 1).count() >= MANY => {
            TraverseControl::Return(())
        }
        _ => TraverseControl::Continue,
    };
    traverse(ast, many)
}

fn traverse(ast: &Ast<'_>, mut ask: impl FnMut(&Ast<'_>, &()) -> TraverseControl<(), ()>) -> bool {
    ast.traverse_ref(&mut |node, scope| ask(node, scope), &()).is_some()
}

struct Spreading<'ast> {
    alloc: &'ast AstAlloc,
    /// The names that expressions refer to.
    used: HashSet<Ident>,
    /// How many pieces have got a field of their own.
    spread: usize,
}

impl<'ast> Spreading<'ast> {
    fn note_used(&mut self, ast: &Ast<'_>) {
        traverse(ast, |node, ()| {
            match &node.node {
                Node::Var(name) => {
                    self.used.insert(name.ident());
                }
                Node::Record(record) => self.used.extend(record.includes.iter().map(|include| include.ident.ident())),
                // The traversal of the parser's library leaves these out.
                Node::EnumVariant { arg: Some(arg), .. } => self.note_used(arg),
                _ => {}
            }
            TraverseControl::Continue
        });
    }

    /// Goes where the checker only looks through expressions, and does not expect a type.
    fn tree(&mut self, ast: &Ast<'ast>) -> Ast<'ast> {
        let node = match &ast.node {
            Node::Record(record) => Node::Record(self.alloc.alloc(self.record(record))),
            Node::Annotated { annot, inner } if annot.typ.is_none() => {
                Node::Annotated { annot, inner: self.alloc.alloc(self.tree(inner)) }
            }
            Node::Let { bindings, body, rec } => {
                Node::Let { bindings, body: self.alloc.alloc(self.tree(body)), rec: *rec }
            }
            Node::PrimOpApp { op: op @ PrimOp::Merge(_), args } => {
                let args: Vec<_> = args.iter().map(|arg| self.tree(arg)).collect();
                Node::PrimOpApp { op, args: self.alloc.alloc_many(args) }
            }
            other => other.clone(),
        };
        Ast { node, pos: ast.pos }
    }

    fn record(&mut self, record: &Record<'ast>) -> Record<'ast> {
        let mut pieces: HashMap<Ident, (usize, bool)> = HashMap::new();
        for field in record.field_defs {
            if let Some(name) = field.root_as_ident() {
                let (count, plain) = pieces.entry(name.ident()).or_insert((0, true));
                *count += 1;
                *plain &= field.path.len() > 1 && field.metadata.annotation.typ.is_none();
            }
        }
        pieces.retain(|name, (count, plain)| *plain && *count >= MANY && !self.used.contains(name));
        let fields: Vec<_> = record.field_defs.iter().map(|field| self.field(field, &pieces)).collect();
        Record { field_defs: self.alloc.alloc_many(fields), ..record.clone() }
    }

    fn field(&mut self, field: &FieldDef<'ast>, pieces: &HashMap<Ident, (usize, bool)>) -> FieldDef<'ast> {
        let mut field = field.clone();
        if let Some(name) = field.root_as_ident().filter(|name| pieces.contains_key(&name.ident())) {
            self.spread += 1;
            // The zero byte keeps it apart from what a file can name.
            let own = Ident::new(format!("\0piece {} of {}", self.spread, name.label()));
            let mut path = field.path.to_vec();
            path[0] = FieldPathElem::Ident(LocIdent::from(own).with_pos(name.pos));
            field.path = self.alloc.alloc_many(path);
        }
        if field.metadata.annotation.typ.is_none() {
            field.value = field.value.as_ref().map(|value| self.tree(value));
        }
        field
    }
}

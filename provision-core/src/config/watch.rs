//! Notices which facts an evaluation uses, and which branches it takes.
//!
//! Each fact is `%trace% "<mark>" (fact)`, and the trace of Nickel says which were asked for. Where branches are to be
//! known as well, each arm of an `if` or a `match` is wrapped as `%trace% "<mark>" (arm)` in the syntax tree, after types
//! were checked and before it becomes an expression. So types, positions and values stay what they are.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::rc::Rc;

use nickel_lang_core::ast::compat::ToMainline;
use nickel_lang_core::ast::primop::PrimOp;
use nickel_lang_core::ast::{Ast, AstAlloc, MatchBranch, Node};
use nickel_lang_core::cache::{InputFormat, TermEntry, TermEntryState};
use nickel_lang_core::files::FileId;
use nickel_lang_core::position::{RawSpan, TermPos};
use nickel_lang_core::traverse::{TraverseAlloc, TraverseOrder};

use super::branches::{Branch, BranchKind, Branches};
use super::session::Session;

/// What the trace says of an arm, before its number. The zero byte keeps it apart from what a site traces.
const MARK: &str = "\0branch ";

/// What it says of a fact, before its number.
const FACT: &str = "\0fact ";

/// The facts and arms that were marked, and those that were used and taken.
#[derive(Clone, Default)]
pub(super) struct Watch(Rc<RefCell<Watched>>);

#[derive(Default)]
struct Watched {
    /// Paths of facts, and whether they were used.
    facts: Vec<(Vec<String>, bool)>,
    arms: Vec<Arm>,
    /// A line of the trace that is not complete.
    line: Vec<u8>,
    unwatched: Vec<FileId>,
}

/// An arm as it lies in its file.
#[derive(Clone)]
struct Arm {
    kind: BranchKind,
    at: RawSpan,
    condition: RawSpan,
    taken: bool,
}

impl Watch {
    /// The same arms for another evaluation, of which none was taken yet.
    pub(super) fn begin(&self) -> Watch {
        let watched = self.0.borrow();
        let arms = watched.arms.iter().map(|arm| Arm { taken: false, ..arm.clone() }).collect();
        Watch(Rc::new(RefCell::new(Watched { arms, unwatched: watched.unwatched.clone(), ..Watched::default() })))
    }

    /// The mark of one more fact, for a trace that comes before its value.
    pub(super) fn mark_fact(&self, path: &[String]) -> String {
        let facts = &mut self.0.borrow_mut().facts;
        facts.push((path.to_vec(), false));
        format!("{FACT}{}", facts.len() - 1)
    }

    /// Paths of the facts that were used.
    pub(super) fn used_facts(&self) -> BTreeSet<Vec<String>> {
        let watched = self.0.borrow();
        watched.facts.iter().filter(|(_, used)| *used).map(|(path, _)| path.clone()).collect()
    }
}

/// The trace: Nickel writes a line for each fact and each arm that is evaluated.
impl Write for Watch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut watched = self.0.borrow_mut();
        for byte in bytes {
            match byte {
                b'\n' => watched.end_of_line(),
                _ => watched.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Watched {
    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let number = |mark| std::str::from_utf8(&line).ok()?.split_once(mark)?.1.parse::<usize>().ok();
        if let Some((_, used)) = number(FACT).and_then(|number| self.facts.get_mut(number)) {
            *used = true;
        } else if let Some(arm) = number(MARK).and_then(|number| self.arms.get_mut(number)) {
            arm.taken = true;
        }
    }
}

impl Session {
    /// Puts marked expressions into the place of those that nothing has been done with yet.
    pub(super) fn mark_branches(&mut self, fresh: &[FileId]) {
        let watch = self.watch.clone();
        let mut watched = watch.0.borrow_mut();
        for &file in fresh {
            let cache = &mut self.context.import_resolver;
            let Some(ast) = cache.asts.get(file) else {
                watched.unwatched.push(file);
                continue;
            };
            let alloc = AstAlloc::new();
            let before = watched.arms.len();
            let mut marking = Marking { alloc: &alloc, arms: &mut watched.arms, is_complete: true };
            let marked = marking.tree(ast.clone());
            if !marking.is_complete {
                watched.unwatched.push(file);
            }
            if watched.arms.len() > before {
                let value = marked.to_mainline(&mut self.context.pos_table);
                let entry = TermEntry { value, state: TermEntryState::Populated, format: InputFormat::Nickel };
                cache.terms.insert(file, entry);
            }
        }
    }

    /// Says which branches there are, and which were taken.
    pub(super) fn tell_branches(&mut self, branches: &Branches) {
        let watch = self.watch.clone();
        let watched = watch.0.borrow();
        let files = self.files();
        for arm in &watched.arms {
            let text = files.source(arm.at.src_id);
            let condition = text.get(arm.condition.to_range()).unwrap_or_default();
            let (at, _) = self.places.span(&files, arm.at);
            let line = text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or_default().trim().to_owned();
            let condition = condition.split_whitespace().collect::<Vec<_>>().join(" ");
            branches.note(Branch { at, kind: arm.kind, condition, line }, arm.taken);
        }
        for file in &watched.unwatched {
            let name = self.places.span(&files, RawSpan::from_range(*file, 0..0)).0.file;
            branches.note_unwatched(format!("{name}: its syntax tree has no places for some of its branches"));
        }
    }
}

/// Marks the arms of one file.
struct Marking<'ast, 'w> {
    alloc: &'ast AstAlloc,
    arms: &'w mut Vec<Arm>,
    is_complete: bool,
}

impl<'ast> Marking<'ast, '_> {
    fn tree(&mut self, ast: Ast<'ast>) -> Ast<'ast> {
        let alloc = self.alloc;
        let marked: Result<_, std::convert::Infallible> =
            ast.traverse(alloc, &mut |node| Ok(self.node(node)), TraverseOrder::BottomUp);
        let Ok(marked) = marked;
        marked
    }

    /// A node, of which what lies in it has been marked.
    fn node(&mut self, ast: Ast<'ast>) -> Ast<'ast> {
        let pos = ast.pos;
        let node = match ast.node {
            Node::IfThenElse { cond, then_branch, else_branch } => {
                let then_branch = self.arm(BranchKind::Then, then_branch.pos, cond.pos, then_branch.clone());
                // An `else if` is one decision of many arms: those of the second `if` say it.
                let else_branch = match else_branch.node {
                    Node::IfThenElse { .. } => else_branch.clone(),
                    _ => self.arm(BranchKind::Else, else_branch.pos, cond.pos, else_branch.clone()),
                };
                self.alloc.if_then_else(cond.clone(), then_branch, else_branch)
            }
            Node::Match(data) => {
                let branches: Vec<_> = data.branches.iter().map(|branch| self.match_arm(branch)).collect();
                self.alloc.match_expr(branches)
            }
            // The traversal of the parser's library leaves these out.
            Node::EnumVariant { tag, arg: Some(arg) } => {
                let arg = self.tree(arg.clone());
                self.alloc.enum_variant(tag, Some(arg))
            }
            node => node,
        };
        Ast { node, pos }
    }

    fn match_arm(&mut self, branch: &MatchBranch<'ast>) -> MatchBranch<'ast> {
        let until = branch.guard.as_ref().map_or(branch.pattern.pos, |guard| guard.pos);
        let condition = branch.pattern.pos.fuse(until);
        let body = self.arm(BranchKind::Match, condition, condition, branch.body.clone());
        MatchBranch { body, ..branch.clone() }
    }

    fn arm(&mut self, kind: BranchKind, at: TermPos, condition: TermPos, body: Ast<'ast>) -> Ast<'ast> {
        let (Some(at), Some(condition)) = (at.into_opt(), condition.into_opt()) else {
            self.is_complete = false;
            return body;
        };
        let mark = Ast::from(self.alloc.string(&format!("{MARK}{}", self.arms.len())));
        self.arms.push(Arm { kind, at, condition, taken: false });
        let trace = Ast::from(self.alloc.prim_op(PrimOp::Trace, [mark]));
        let pos = body.pos;
        Ast { node: self.alloc.app(trace, [body]), pos }
    }
}

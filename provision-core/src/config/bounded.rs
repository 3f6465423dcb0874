//! A bound on the memory of an evaluation: Nickel itself lets what calls itself without an end go on until the host has
//! no memory left.

use std::cell::Cell;

use nickel_lang_core::eval::Closure;
use nickel_lang_core::eval::cache::lazy::{CBNCache, Thunk};
use nickel_lang_core::eval::cache::{BlackholedError, Cache};
use nickel_lang_core::eval::value::{NickelValue, ValueContentRef};
use nickel_lang_core::identifier::Ident;
use nickel_lang_core::term::BindingType;
use nickel_lang_core::term::record::FieldDeps;

thread_local! {
    /// What an evaluation on this thread may take, in MiB, beyond what the program has when it is first asked.
    static LIMIT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Bounds evaluations on this thread, by its stack in bytes: what is as deep as an endless evaluation is taken apart on it,
/// and that takes no more than four times as much. 256 MiB are never too much.
pub(super) fn bound_by_stack(bytes: usize) {
    LIMIT.set(((bytes as u64 / 4) >> 20).max(256));
}

/// How often a value is asked for between two looks at the memory that is taken.
const INTERVAL: u32 = 1 << 16;

/// That an evaluation takes too much memory, in MiB: the payload of a panic.
pub(super) struct TakesTooMuch(pub(super) u64);

/// Nickel's own cache of values, which looks at the memory that is taken from time to time.
#[derive(Clone)]
pub(super) struct BoundedCache {
    values: CBNCache,
    asked: Cell<u32>,
    /// What the program had taken when it was first asked, in MiB.
    began: Cell<Option<u64>>,
}

impl BoundedCache {
    fn ask(&self) {
        let asked = self.asked.get().wrapping_add(1);
        self.asked.set(asked);
        if !asked.is_multiple_of(INTERVAL) {
            return;
        }
        let Some(now) = taken_mebibytes() else { return };
        let began = self.began.get().unwrap_or(now);
        self.began.set(Some(began));
        if now.saturating_sub(began) > LIMIT.get() {
            // Without the hook: the one who evaluates tells it.
            std::panic::resume_unwind(Box::new(TakesTooMuch(LIMIT.get())));
        }
    }
}

/// A text of more than this, in MiB, is in no site. One that is doubled a few times more takes all memory at once.
const LONGEST_TEXT: u64 = 64;

fn refuse_too_long(value: &NickelValue) {
    if let ValueContentRef::String(text) = value.content_ref()
        && text.len() as u64 >> 20 >= LONGEST_TEXT
    {
        std::panic::resume_unwind(Box::new(TakesTooMuch(LONGEST_TEXT)));
    }
}

/// The memory that this program has taken, in MiB; see `proc_pid_statm(5)`.
fn taken_mebibytes() -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "it is about this program and no host")]
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    // Pages have 4 KiB on what Debian runs on most; where they have more, less is taken to be too much.
    Some(pages / 256)
}

impl Cache for BoundedCache {
    type UpdateIndex = <CBNCache as Cache>::UpdateIndex;

    fn get(&self, at: Thunk) -> Closure {
        self.ask();
        self.values.get(at)
    }
    fn get_update_index(&mut self, at: &mut Thunk) -> Result<Option<Self::UpdateIndex>, BlackholedError> {
        self.values.get_update_index(at)
    }
    fn add(&mut self, closure: Closure, binding: BindingType) -> Thunk {
        self.ask();
        refuse_too_long(&closure.value);
        self.values.add(closure, binding)
    }
    fn patch<F: Fn(&mut Closure)>(&mut self, at: Thunk, change: F) {
        self.values.patch(at, change);
    }
    fn get_then<T, F: FnOnce(&Closure) -> T>(&self, at: Thunk, ask: F) -> T {
        self.values.get_then(at, ask)
    }
    fn update(&mut self, closure: Closure, at: Self::UpdateIndex) {
        refuse_too_long(&closure.value);
        self.values.update(closure, at);
    }
    fn new() -> Self {
        BoundedCache { values: CBNCache::new(), asked: Cell::new(0), began: Cell::new(None) }
    }
    fn reset_index_state(&mut self, at: &mut Self::UpdateIndex) {
        self.values.reset_index_state(at);
    }
    fn build_cached(&mut self, at: &mut Thunk, environment: &[(Ident, Thunk)]) {
        self.values.build_cached(at, environment);
    }
    fn saturate<I: DoubleEndedIterator<Item = Ident> + Clone>(&mut self, at: Thunk, fields: I) -> NickelValue {
        self.values.saturate(at, fields)
    }
    fn revert(&mut self, at: &Thunk) -> Thunk {
        self.values.revert(at)
    }
    fn deps(&self, at: &Thunk) -> Option<FieldDeps> {
        self.values.deps(at)
    }
    fn make_update_index(&mut self, at: &mut Thunk) -> Result<Self::UpdateIndex, BlackholedError> {
        self.values.make_update_index(at)
    }
}

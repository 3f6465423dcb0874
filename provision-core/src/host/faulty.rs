//! A host that fails, or loses its power, at an effect of choice: for tests that want to know what happens then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Host, HostView};
use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// What happens at an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails in this way, and nothing of it is done.
    Fails(ErrorKind),
    /// The program dies before it is done.
    DiesBefore,
    /// The program dies after it is done, and before that can be written down.
    DiesAfter,
}

impl Fault {
    /// Every fault that effects can meet.
    pub const ALL: [Fault; 7] = [
        Fault::DiesBefore,
        Fault::DiesAfter,
        Fault::Fails(ErrorKind::Io),
        Fault::Fails(ErrorKind::NoSpace),
        Fault::Fails(ErrorKind::PermissionDenied),
        Fault::Fails(ErrorKind::CommandFailed),
        Fault::Fails(ErrorKind::TimedOut),
    ];
}

/// A host that meets one fault, at an effect of choice, and is well before it. After a death nothing works.
pub struct Faulty<H> {
    host: H,
    at: usize,
    fault: Fault,
    performed: AtomicUsize,
    dead: Arc<AtomicBool>,
}

impl<H: Host> Faulty<H> {
    /// Lets the effect with this number, from 0, meet a fault.
    pub fn new(host: H, at: usize, fault: Fault) -> Faulty<H> {
        Faulty { host, at, fault, performed: AtomicUsize::new(0), dead: Arc::default() }
    }

    /// The switch that a death turns on: for a [`MemoryStore`](crate::state::MemoryStore) that dies with the host.
    pub fn death(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.dead)
    }

    /// Whether the fault was met.
    pub fn has_struck(&self) -> bool {
        self.performed.load(Ordering::Relaxed) > self.at
    }

    fn die(&self) -> Error {
        self.dead.store(true, Ordering::Relaxed);
        Error::new(ErrorKind::Io, "the host has lost its power")
    }
}

impl<H: Host> Host for Faulty<H> {
    fn come_to_rest(&self, effect: &Effect) -> Result<()> {
        self.host.come_to_rest(effect)
    }
    fn perform(&self, effect: &Effect) -> Result<()> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(self.die());
        }
        let number = self.performed.fetch_add(1, Ordering::Relaxed);
        if number != self.at {
            return self.host.perform(effect);
        }
        match self.fault {
            Fault::Fails(kind) => Err(Error::new(kind, "the fault of the test")).while_doing(|| effect.to_string()),
            Fault::DiesBefore => Err(self.die()),
            Fault::DiesAfter => {
                let _ = self.host.perform(effect);
                Err(self.die())
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: Host> HostView for Faulty<H> {
    crate::forward_view!(self => self.host);
}

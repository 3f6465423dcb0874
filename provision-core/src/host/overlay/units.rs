//! What effects on units do to the model: a small systemd, see `systemd.unit(5)` and `systemctl(1)`.

mod boot;
mod fileless;
mod jobs;
mod links;
mod modelled;
mod needs;
mod presets;
mod state;
mod stops;
mod timers;
mod triggers;

use std::sync::Arc;

use crate::effect::UnitAction;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{HostView, UnitState};

/// Whether a unit of a simulated host starts, restarts or reloads: an error says why not.
pub type UnitScript = Arc<dyn Fn(&dyn HostView, UnitAction) -> Result<()> + Send + Sync>;

/// What a unit does, and has done.
#[derive(Clone, Debug, Default)]
pub(in crate::host) struct Runtime {
    /// What a test says of a unit that has no file.
    pub(in crate::host) given: Option<UnitState>,
    /// `ActiveState` and `SubState`, once it was acted upon.
    pub(super) activity: Option<(String, String)>,
    /// `UnitFileState` of a unit whose file the model cannot read.
    file_state: Option<String>,
    pub(in crate::host) starts: u32,
    pub(in crate::host) stops: u32,
    pub(in crate::host) restarts: u32,
    pub(in crate::host) reloads: u32,
    started_micros: Option<u64>,
    ended_micros: Option<u64>,
    /// When a timer, a path or a socket last started something, since it was started itself.
    pub(in crate::host) triggered_micros: Option<u64>,
    /// When a persistent timer last elapsed, in microseconds since 1970; it outlasts the timer and a reboot.
    stamp_micros: Option<i64>,
    /// How many connections a socket has had a service started for each.
    connections: u32,
    /// The last change of unit files that it has seen.
    loaded: u64,
    /// When it was started, lately.
    recent_starts: Vec<u64>,
}

/// How often a unit may be started in so many microseconds; systemd-system.conf(5), DefaultStartLimitBurst.
const START_LIMIT: (usize, u64) = (5, 10_000_000);

impl Runtime {
    /// A unit without a file, in a state.
    pub(super) fn given(state: UnitState) -> Runtime {
        Runtime { given: Some(state), ..Runtime::default() }
    }

    fn runs(&self) -> bool {
        self.activity.as_ref().is_some_and(|(active, _)| active == "active")
    }

    fn has_failed(&self) -> bool {
        self.activity.as_ref().is_some_and(|(active, _)| active == "failed")
    }

    /// A state with what was done since.
    fn over(&self, state: UnitState) -> UnitState {
        let mut state = UnitState { starts: self.starts, ..state };
        if let Some((active, sub)) = &self.activity {
            (state.active, state.sub) = (Some(active.clone()), Some(sub.clone()));
        }
        if let Some(file_state) = &self.file_state {
            file_state.clone_into(&mut state.file_state);
        }
        state.started_micros = self.started_micros.or(state.started_micros);
        state
    }
}

fn does_not_run(unit: &str, why: &str) -> Error {
    Error::new(ErrorKind::CommandFailed, format!("{unit} does not run ({why})"))
}

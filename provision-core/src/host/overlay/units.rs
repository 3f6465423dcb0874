//! What effects on units do to the model, see `systemd.unit(5)` and `systemctl(1)`.

mod fileless;
mod index;
mod jobs;
mod links;
mod state;

use crate::host::UnitState;

#[cfg(feature = "sim")]
pub(crate) use jobs::does_not_run;

/// What a unit does, and has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runtime {
    /// What a test says of a unit that has no file.
    pub(crate) given: Option<UnitState>,
    /// `ActiveState` and `SubState`, once it was acted upon.
    pub(crate) activity: Option<(String, String)>,
    /// `UnitFileState` of a unit whose file the model cannot read.
    pub(crate) file_state: Option<String>,
    pub(crate) starts: u32,
    pub(crate) started_micros: Option<u64>,
    /// The last change of unit files that it has seen.
    pub(crate) loaded: u64,
    /// What only a modelled service manager counts and remembers.
    #[cfg(feature = "sim")]
    pub(crate) history: History,
}

/// What only a modelled service manager counts and remembers of a unit.
#[cfg(feature = "sim")]
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) stops: u32,
    pub(crate) restarts: u32,
    pub(crate) reloads: u32,
    pub(crate) ended_micros: Option<u64>,
    /// When a timer, a path or a socket last started something, since it was started itself.
    pub(crate) triggered_micros: Option<u64>,
    /// When a persistent timer last elapsed, in microseconds since 1970; it outlasts the timer and a reboot.
    pub(crate) stamp_micros: Option<i64>,
    /// How many connections a socket has had a service started for each.
    pub(crate) connections: u32,
    /// When it was started, lately.
    pub(crate) recent_starts: Vec<u64>,
}

impl Runtime {
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

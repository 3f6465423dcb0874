//! [`Resource`]: one thing on a host that should be in a declared state.

mod context;
mod contradictions;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::effect::Sensitive;
use crate::error::{Error, ErrorKind, Result};
use crate::path::HostPath;
use crate::secret::Text;

pub use self::context::{ApplyContext, CheckContext, PlanContext};
pub use self::contradictions::{Contradiction, Declared};
pub use crate::claim::{Claim, Hold, Target};
pub use crate::id::{InvalidId, ResourceId};
pub use crate::source::Source;

/// One thing on a host that should be in a declared state.
///
/// # Contract
/// * The struct's fields are the attributes that a site may write. Its doc comments become their documentation, its
///   serde defaults their defaults. Put `#[serde(deny_unknown_fields)]` on it, so that typos are found.
/// * [`check`](Resource::check) reads the host and cannot change it. [`plan`](Resource::plan) sees no host at all. Only
///   [`apply`](Resource::apply) and [`react`](Resource::react) may perform effects.
/// * After `apply`, `check` must give what `plan` promised; the engine verifies it and fails the step otherwise.
/// * `plan` is idempotent: `plan(plan(s)) == plan(s)`.
/// * Everything that `apply` touches is covered by [`claims`](Resource::claims).
///
/// In return dry run, diff, simulation, ordering and reporting need no code.
pub trait Resource: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The key in `resources`, such as `file`.
    const TYPE: &'static str;

    /// When its resources are due among those that no edge orders.
    const STAGE: Stage = Stage::Files;

    /// The attributes whose values no message shows, not even in the line of the site that is wrong.
    const NEVER_SHOWN: &'static [&'static str] = &[];

    /// What a look at the host found. What differs between two states is what people see as the diff, so a secret has
    /// no place in it.
    type State: Serialize + DeserializeOwned + PartialEq + Send + Sync + 'static;

    /// Reads how it is.
    ///
    /// # Errors
    /// The host cannot be read; [`ErrorKind::Unknown`] defers the step until it can.
    fn check(&self, cx: &CheckContext<'_>) -> Result<Self::State>;

    /// Says how it should be. It is in sync exactly if `plan(now) == now`.
    ///
    /// # Errors
    /// The wanted state cannot be reached from `now`.
    fn plan(&self, cx: &PlanContext<'_>, now: &Self::State) -> Result<Self::State>;

    /// Brings it from `now` to `want`. Called only if they differ, and more than once: a plan is made by running this on a
    /// model of the host, where effects are recorded and no command runs. So it does nothing but perform effects and ask
    /// the host; whatever it did by itself would happen while planning.
    ///
    /// # Errors
    /// An effect failed.
    fn apply(&self, cx: &ApplyContext<'_>, now: &Self::State, want: &Self::State) -> Result<()>;

    /// Checks what the types of the attributes cannot say, without a host. All mistakes are reported at once.
    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let _ = id;
        Vec::new()
    }

    /// When it is due among those that no edge orders, if that depends on its attributes.
    fn stage(&self) -> Stage {
        Self::STAGE
    }

    /// What this declaration and others of the site say differently about one thing that neither of them owns alone. Only one
    /// of the two has to tell of it.
    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        let _ = (id, site);
        Vec::new()
    }

    /// What it owns and what it needs: implied edges and conflicts come from this.
    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        let _ = id;
        Vec::new()
    }

    /// The attributes that may name secrets, each with its name. What they stand for is there when a host is looked at, and
    /// not before.
    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        Vec::new()
    }

    /// The attributes of a state that are not to be shown where it was found on a host, such as the content of a file that
    /// not every user may read (see [`HostViewExt::is_readable_by_all`](crate::host::HostViewExt::is_readable_by_all)).
    fn hidden(&self, cx: &CheckContext<'_>, now: &Self::State) -> &'static [&'static str] {
        let _ = (cx, now);
        &[]
    }

    /// Called once, when all resources of the site are declared: to read source files and to learn what else is there.
    ///
    /// # Errors
    /// A file that it names cannot be read.
    fn prepare(&mut self, id: &ResourceId, surroundings: &dyn Surroundings) -> Result<(), AttributeError> {
        let _ = (id, surroundings);
        Ok(())
    }

    /// Judges what the resources that own a path within those that this one claims with [`Hold::Judges`] are about to change, before any of
    /// them changes anything. `cx` has the host as they would leave it, and a
    /// [`query`](crate::host::HostViewExt::query) runs its program there. Not called if none of them changes anything.
    ///
    /// # Errors
    /// It is not good; none of these resources is changed then. [`ErrorKind::Unknown`] defers the judgement.
    fn judge(&self, cx: &CheckContext<'_>) -> Result<()> {
        let _ = cx;
        Ok(())
    }

    /// What a notification does, such as a restart. `before` is the state that this run found.
    ///
    /// # Errors
    /// An effect failed.
    fn react(&self, cx: &ApplyContext<'_>, before: &Self::State) -> Result<()> {
        let _ = (cx, before);
        Ok(())
    }

    /// Resources that these declarations need and that need not be written, once for all of this type's resources.
    /// A resource that the site declares under the same id wins.
    fn companions(declared: &[(&ResourceId, &Self)]) -> Vec<Companion>
    where
        Self: Sized,
    {
        let _ = declared;
        Vec::new()
    }
}

/// What a resource learns about the site that it is declared in.
pub trait Surroundings {
    /// A file of the site; a relative path starts at the directory of the site file that declares the resource.
    ///
    /// # Errors
    /// It cannot be read.
    fn source(&self, path: &str) -> Result<Source>;

    /// The paths that resources of the site own, at or below a directory; sorted.
    fn declared_within(&self, directory: &HostPath) -> Vec<HostPath>;
}

/// A resource that comes with others; see [`Resource::companions`].
pub struct Companion {
    pub(crate) id: ResourceId,
    pub(crate) resource: Box<dyn DynResource>,
}

impl Companion {
    /// A resource under a name.
    pub fn new<R: Resource>(name: &str, resource: R) -> Companion {
        Companion { id: ResourceId::new(R::TYPE, name), resource: Box::new(resource) }
    }
}

/// A mistake in an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeError {
    /// Where: keys and indices from the resource on; empty for the resource as a whole.
    pub path: Vec<String>,
    /// What is wrong, in one line.
    pub message: String,
    /// What would help.
    pub help: Option<String>,
    /// Whether the name of the attribute is wrong, and not its value.
    pub about_name: bool,
}

impl AttributeError {
    /// A mistake in the attribute of this name; an empty name means the whole resource.
    pub fn new(attribute: &str, message: impl Into<String>) -> AttributeError {
        let path = if attribute.is_empty() { Vec::new() } else { vec![attribute.to_owned()] };
        AttributeError::at(path, message)
    }

    /// A mistake somewhere inside of an attribute: keys and indices from the resource on.
    pub fn at(path: Vec<String>, message: impl Into<String>) -> AttributeError {
        AttributeError { path, message: message.into(), help: None, about_name: false }
    }

    /// Says what would help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> AttributeError {
        self.help = Some(help.into());
        self
    }
}

/// When resources are due that no edge orders: as an administrator would work. Any edge overrides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Where packages come from.
    PackageSources,
    /// Packages: those that no edge keeps apart are one transaction.
    Packages,
    /// Groups and users.
    Accounts,
    /// Directories, files and links.
    Files,
    /// Unit files and what else the service manager reads.
    Units,
    /// Services.
    Services,
    /// Users, then groups, that are removed: when nothing that may be theirs runs or is changed any more.
    AccountRemovals,
    /// Commands.
    Commands,
}

/// A state without its type.
#[derive(Clone)]
pub(crate) struct DynState(Arc<dyn AnyState>);

trait AnyState: Any + Send + Sync {
    fn to_json(&self) -> Value;
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Serialize + PartialEq + Send + Sync + 'static> AnyState for T {
    fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|error| Value::String(format!("<{error}>")))
    }
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| other == self)
    }
}

impl DynState {
    pub(crate) fn new<T: Serialize + PartialEq + Send + Sync + 'static>(state: T) -> DynState {
        DynState(Arc::new(state))
    }

    pub(crate) fn get<T: 'static>(&self) -> &T {
        let any: &dyn Any = &*self.0;
        any.downcast_ref().expect("a state goes back to the resource that gave it")
    }

    pub(crate) fn to_json(&self) -> Value {
        self.0.to_json()
    }
}

impl PartialEq for DynState {
    fn eq(&self, other: &DynState) -> bool {
        let other: &dyn Any = &*other.0;
        self.0.equals(other)
    }
}

impl fmt::Debug for DynState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

/// A resource without its type: what the engine works with. The only erasure there is. What the engine declares itself has no
/// attributes, secrets or companions unless it gives some.
pub(crate) trait DynResource: Send + Sync {
    fn stage(&self) -> Stage;
    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        let _ = id;
        Vec::new()
    }
    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        let _ = (id, site);
        Vec::new()
    }
    fn claims(&self, id: &ResourceId) -> Vec<Claim>;
    fn prepare(&mut self, id: &ResourceId, surroundings: &dyn Surroundings) -> Result<(), AttributeError> {
        let _ = (id, surroundings);
        Ok(())
    }
    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        Vec::new()
    }
    fn hidden(&self, cx: &CheckContext<'_>, now: &DynState) -> &'static [&'static str] {
        let _ = (cx, now);
        &[]
    }
    fn check(&self, cx: &CheckContext<'_>) -> Result<DynState>;
    fn plan(&self, cx: &PlanContext<'_>, now: &DynState) -> Result<DynState>;
    fn apply(&self, cx: &ApplyContext<'_>, now: &DynState, want: &DynState) -> Result<()>;
    fn judge(&self, cx: &CheckContext<'_>) -> Result<()> {
        let _ = cx;
        Ok(())
    }
    fn react(&self, cx: &ApplyContext<'_>, before: &DynState) -> Result<()> {
        let _ = (cx, before);
        Ok(())
    }
    /// The companions of all resources of this one's type.
    fn companions(&self, declared: &[(&ResourceId, &dyn DynResource)]) -> Vec<Companion> {
        let _ = declared;
        Vec::new()
    }
    fn as_any(&self) -> &dyn Any;
    /// The attributes, as they could be declared, without what must not be shown.
    fn attributes(&self) -> Value;
    /// The attributes with all that must not be shown; only for what is sealed.
    fn all_attributes(&self) -> Result<Value> {
        Ok(self.attributes())
    }
}

/// Each method is that of the type; the defaults are for what the engine declares itself.
#[deny(clippy::missing_trait_methods)]
impl<R: Resource> DynResource for R {
    fn stage(&self) -> Stage {
        Resource::stage(self)
    }
    fn validate(&self, id: &ResourceId) -> Vec<AttributeError> {
        Resource::validate(self, id)
    }
    fn contradictions(&self, id: &ResourceId, site: &Declared<'_>) -> Vec<Contradiction> {
        Resource::contradictions(self, id, site)
    }
    fn claims(&self, id: &ResourceId) -> Vec<Claim> {
        Resource::claims(self, id)
    }
    fn prepare(&mut self, id: &ResourceId, surroundings: &dyn Surroundings) -> Result<(), AttributeError> {
        Resource::prepare(self, id, surroundings)
    }
    fn secrets(&mut self) -> Vec<(&'static str, &mut Text)> {
        Resource::secrets(self)
    }
    fn hidden(&self, cx: &CheckContext<'_>, now: &DynState) -> &'static [&'static str] {
        Resource::hidden(self, cx, now.get())
    }
    fn check(&self, cx: &CheckContext<'_>) -> Result<DynState> {
        Resource::check(self, cx).map(DynState::new)
    }
    fn plan(&self, cx: &PlanContext<'_>, now: &DynState) -> Result<DynState> {
        Resource::plan(self, cx, now.get()).map(DynState::new)
    }
    fn apply(&self, cx: &ApplyContext<'_>, now: &DynState, want: &DynState) -> Result<()> {
        Resource::apply(self, cx, now.get(), want.get())
    }
    fn judge(&self, cx: &CheckContext<'_>) -> Result<()> {
        Resource::judge(self, cx)
    }
    fn react(&self, cx: &ApplyContext<'_>, before: &DynState) -> Result<()> {
        Resource::react(self, cx, before.get())
    }
    fn companions(&self, declared: &[(&ResourceId, &dyn DynResource)]) -> Vec<Companion> {
        let typed: Vec<(&ResourceId, &R)> =
            declared.iter().filter_map(|(id, resource)| Some((*id, resource.as_any().downcast_ref()?))).collect();
        R::companions(&typed)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn attributes(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|error| Value::String(format!("<{error}>")))
    }
    fn all_attributes(&self) -> Result<Value> {
        let unwritable = |error: &dyn fmt::Display| {
            Error::new(ErrorKind::Invalid, format!("the attributes cannot be written down: {error}"))
        };
        let shown = serde_json::to_value(self).map_err(|error| unwritable(&error))?;
        // A form that is not for people shows what others hide.
        let bytes = Zeroizing::new(rmp_serde::to_vec_named(self).map_err(|error| unwritable(&error))?);
        Ok(with_hidden(shown, rmp_serde::from_slice(&bytes).map_err(|error| unwritable(&error))?))
    }
}

/// A value as people may see it, with what it hides. All else is left as it is shown: other types, such as addresses, have
/// another form where it is not for people.
fn with_hidden(shown: Value, whole: Value) -> Value {
    match (shown, whole) {
        (Value::String(text), whole) if text == Sensitive::HIDDEN => whole,
        (Value::Object(shown), Value::Object(mut whole)) => {
            let field = |(name, shown): (String, Value)| {
                let whole = whole.get_mut(&name).map(Value::take).unwrap_or_default();
                (name, with_hidden(shown, whole))
            };
            shown.into_iter().map(field).collect()
        }
        (Value::Array(shown), Value::Array(whole)) if shown.len() == whole.len() => {
            shown.into_iter().zip(whole).map(|(shown, whole)| with_hidden(shown, whole)).collect()
        }
        (shown, _) => shown,
    }
}

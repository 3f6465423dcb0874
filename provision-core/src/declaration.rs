//! A resource with what is common to all resources, and where it was written; [`Entry`] and [`Handle`]: how a program says
//! more of it, and refers to it.

use std::marker::PhantomData;

use crate::diagnostic::Span;
use crate::duration::Duration;
use crate::id::ResourceId;
#[cfg(feature = "nickel")]
use crate::located::Field;
use crate::located::{Data, Located};
use crate::policy::{Common, OnFailure, RetryDelay, When};
use crate::resource::DynResource;

/// A resource and what is common to all resources.
pub(crate) struct Declaration {
    pub(crate) id: ResourceId,
    pub(crate) resource: Box<dyn DynResource>,
    pub(crate) common: Common,
    pub(crate) spans: Spans,
    /// Whether it is a companion, which the site does not declare.
    pub(crate) is_companion: bool,
    /// Whether it was validated already.
    pub(crate) is_valid: bool,
}

/// Where a resource and its attributes were written.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// The resource as a whole.
    pub whole: Option<Span>,
    /// Its attributes.
    pub(crate) attributes: Located,
}

impl Spans {
    /// The places of a record.
    #[cfg(feature = "nickel")]
    pub(crate) fn of(record: Field) -> Spans {
        let Field { name_span, value, .. } = record;
        Spans { whole: name_span.or_else(|| value.span.clone()), attributes: value }
    }

    /// The place of an attribute, or of what is in it, or else of what holds it.
    pub fn at(&self, path: &[String]) -> Option<&Span> {
        let (mut nearest, mut value) = (self.whole.as_ref(), &self.attributes);
        for step in path {
            let (inner, span) = match &value.value {
                Data::Array(elements) => match step.parse().ok().and_then(|index: usize| elements.get(index)) {
                    Some(element) => (element, element.span.as_ref()),
                    None => break,
                },
                _ => match value.field(step) {
                    Some(field) => (&field.value, field.value.span.as_ref().or(field.name_span.as_ref())),
                    None => break,
                },
            };
            (value, nearest) = (inner, span.or(nearest));
        }
        nearest
    }

    /// Where an attribute is named.
    pub(crate) fn of_name(&self, attribute: &str) -> Option<&Span> {
        self.attributes.field(attribute)?.name_span.as_ref()
    }
}

/// A resource that was just declared: more can be said of it, one thing after the other.
///
/// ```
/// # use provision_core::site::{Entry, Handle};
/// # fn tagged<R>(entry: Entry<'_, R>, nginx: &Handle<R>) -> Handle<R> {
/// entry.notifies(nginx).tag("web").retries(3, provision_core::duration::Duration::seconds(2)).handle()
/// # }
/// ```
pub struct Entry<'s, R> {
    pub(crate) declaration: &'s mut Declaration,
    pub(crate) resource: PhantomData<fn() -> R>,
}

/// A resource that is declared, for others to refer to: as what they require or notify, or by its name in their attributes.
pub struct Handle<R> {
    id: ResourceId,
    resource: PhantomData<fn() -> R>,
}

impl<R> Entry<'_, R> {
    fn common(self, change: impl FnOnce(&mut Common)) -> Self {
        change(&mut self.declaration.common);
        self
    }

    /// See [`Common::requires`].
    pub fn requires(self, id: impl Into<ResourceId>) -> Self {
        self.common(|common| common.requires.push(id.into()))
    }
    /// See [`Common::after`].
    pub fn after(self, id: impl Into<ResourceId>) -> Self {
        self.common(|common| common.after.push(id.into()))
    }
    /// See [`Common::before`].
    pub fn before(self, id: impl Into<ResourceId>) -> Self {
        self.common(|common| common.before.push(id.into()))
    }
    /// See [`Common::notifies`].
    pub fn notifies(self, id: impl Into<ResourceId>) -> Self {
        self.common(|common| common.notifies.push(id.into()))
    }
    /// See [`Common::subscribes`].
    pub fn subscribes(self, id: impl Into<ResourceId>) -> Self {
        self.common(|common| common.subscribes.push(id.into()))
    }
    /// See [`Common::when`].
    pub fn when(self, condition: bool) -> Self {
        self.common(|common| common.when = When(condition))
    }
    /// See [`Common::tags`].
    pub fn tag(self, tag: &str) -> Self {
        self.common(|common| common.tags.push(tag.to_owned()))
    }
    /// See [`Common::sensitive`].
    pub fn sensitive(self) -> Self {
        self.common(|common| common.sensitive = true)
    }
    /// See [`Common::retries`] and [`Common::retry_delay`].
    pub fn retries(self, retries: u32, delay: impl Into<Duration>) -> Self {
        self.common(|common| {
            common.retries = retries;
            common.retry_delay = RetryDelay(delay.into());
        })
    }
    /// See [`Common::timeout`].
    pub fn timeout(self, timeout: impl Into<Duration>) -> Self {
        self.common(|common| common.timeout = Some(timeout.into()))
    }
    /// See [`Common::on_failure`].
    pub fn on_failure(self, policy: OnFailure) -> Self {
        self.common(|common| common.on_failure = Some(policy))
    }
    /// What others refer to it by.
    pub fn handle(self) -> Handle<R> {
        Handle { id: self.declaration.id.clone(), resource: PhantomData }
    }
}

impl<R> Handle<R> {
    /// Its id.
    pub fn id(&self) -> &ResourceId {
        &self.id
    }
}

impl<R> Clone for Handle<R> {
    fn clone(&self) -> Handle<R> {
        Handle { id: self.id.clone(), resource: PhantomData }
    }
}

impl<R> From<&Handle<R>> for ResourceId {
    fn from(handle: &Handle<R>) -> ResourceId {
        handle.id.clone()
    }
}

/// Its name, for attributes such as the owner of a file.
impl<R> From<&Handle<R>> for String {
    fn from(handle: &Handle<R>) -> String {
        handle.id.name().to_owned()
    }
}

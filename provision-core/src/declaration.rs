//! [`Declaration`]: a resource with what is common to all resources, and where it was written.

use crate::diagnostic::Span;
use crate::duration::Duration;
use crate::id::ResourceId;
#[cfg(feature = "nickel")]
use crate::located::Field;
use crate::located::{Data, Located};
use crate::policy::{Common, OnFailure, RetryDelay, When};
use crate::resource::DynResource;

/// A resource and what is common to all resources.
pub struct Declaration {
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

impl Declaration {
    /// See [`Common::requires`].
    pub fn requires(&mut self, id: ResourceId) -> &mut Declaration {
        self.common.requires.push(id);
        self
    }
    /// See [`Common::after`].
    pub fn after(&mut self, id: ResourceId) -> &mut Declaration {
        self.common.after.push(id);
        self
    }
    /// See [`Common::before`].
    pub fn before(&mut self, id: ResourceId) -> &mut Declaration {
        self.common.before.push(id);
        self
    }
    /// See [`Common::notifies`].
    pub fn notifies(&mut self, id: ResourceId) -> &mut Declaration {
        self.common.notifies.push(id);
        self
    }
    /// See [`Common::subscribes`].
    pub fn subscribes(&mut self, id: ResourceId) -> &mut Declaration {
        self.common.subscribes.push(id);
        self
    }
    /// See [`Common::when`].
    pub fn when(&mut self, condition: bool) -> &mut Declaration {
        self.common.when = When(condition);
        self
    }
    /// See [`Common::tags`].
    pub fn tag(&mut self, tag: &str) -> &mut Declaration {
        self.common.tags.push(tag.to_owned());
        self
    }
    /// See [`Common::sensitive`].
    pub fn sensitive(&mut self) -> &mut Declaration {
        self.common.sensitive = true;
        self
    }
    /// See [`Common::retries`] and [`Common::retry_delay`].
    pub fn retries(&mut self, retries: u32, delay: Duration) -> &mut Declaration {
        self.common.retries = retries;
        self.common.retry_delay = RetryDelay(delay);
        self
    }
    /// See [`Common::timeout`].
    pub fn timeout(&mut self, timeout: Duration) -> &mut Declaration {
        self.common.timeout = Some(timeout);
        self
    }
    /// See [`Common::on_failure`].
    pub fn on_failure(&mut self, policy: OnFailure) -> &mut Declaration {
        self.common.on_failure = Some(policy);
        self
    }
    /// The id to name it by.
    pub fn id(&self) -> ResourceId {
        self.id.clone()
    }
}

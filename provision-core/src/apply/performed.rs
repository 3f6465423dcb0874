//! The effects that a step has performed so far.

use std::ops::Range;

use crate::effect::Effect;
use crate::shared::Shared;

/// Effects in the order in which they were performed. They are shared with the plan, unless there are others: a plan may have
/// hundreds of thousands.
#[derive(Default)]
pub(super) struct Performed {
    planned: Shared<Effect>,
    /// How many of the planned ones are done.
    done: usize,
    /// What was done after them.
    others: Vec<Effect>,
}

impl Performed {
    pub(super) fn is_empty(&self) -> bool {
        self.done == 0 && self.others.is_empty()
    }

    /// Adds some of the effects of a list.
    pub(super) fn add(&mut self, list: &Shared<Effect>, which: Range<usize>) {
        let goes_on = self.others.is_empty() && self.done == which.start;
        if goes_on && (self.done == 0 || list.is_same(&self.planned)) {
            self.planned = list.clone();
            self.done = which.end;
        } else {
            self.others.extend_from_slice(&list[which]);
        }
    }

    /// Adds an effect that is not in a list.
    pub(super) fn push(&mut self, effect: &Effect) {
        self.others.push(effect.clone());
    }

    pub(super) fn into_effects(self) -> Shared<Effect> {
        let Performed { planned, done, others } = self;
        if done == planned.len() && others.is_empty() {
            return planned;
        }
        planned[..done].iter().cloned().chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{PlatformEffect, UnitAction};

    fn start(unit: &str) -> Effect {
        Effect::Platform(PlatformEffect::Unit { unit: unit.to_owned(), action: UnitAction::Start })
    }

    #[test]
    fn all_that_was_planned_is_shared_and_what_else_was_done_follows_it() {
        let list: Shared<Effect> = ["a", "b", "c"].map(start).to_vec().into();
        let again: Shared<Effect> = ["b", "d"].map(start).to_vec().into();
        let mut all = Performed::default();
        all.add(&list, 0..2);
        all.add(&list, 2..3);
        assert!(all.into_effects().is_same(&list));

        let mut some = Performed::default();
        assert!(some.is_empty());
        some.add(&list, 0..1);
        some.add(&again, 0..2);
        some.push(&start("e"));
        assert_eq!(some.into_effects()[..], ["a", "b", "d", "e"].map(start));

        let mut last = Performed::default();
        last.add(&list, 1..3);
        assert_eq!(last.into_effects()[..], ["b", "c"].map(start));
    }
}

//! Requests that are found by their tickets, however many they are.

use std::collections::BTreeMap;

use super::request::Ticket;

/// Values in the order of their tickets. One value takes no memory of its own: most locks have one request at a time.
pub(super) struct ByTicket<T> {
    /// `None`: there are no others either.
    first: Option<(Ticket, T)>,
    others: BTreeMap<Ticket, T>,
}

impl<T> Default for ByTicket<T> {
    fn default() -> Self {
        Self { first: None, others: BTreeMap::new() }
    }
}

impl<T> ByTicket<T> {
    /// Returns true if there is no value.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Returns the first value.
    pub(super) fn first(&self) -> Option<&T> {
        self.first.as_ref().map(|(_, value)| value)
    }

    /// Returns the first value.
    pub(super) fn first_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut().map(|(_, value)| value)
    }

    /// Returns true if `ticket` is the first.
    pub(super) fn is_first(&self, ticket: Ticket) -> bool {
        self.first.as_ref().is_some_and(|&(first, _)| first == ticket)
    }

    /// Returns the value of `ticket`.
    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut T> {
        match &mut self.first {
            Some((first, value)) if *first == ticket => Some(value),
            _ => self.others.get_mut(&ticket),
        }
    }

    /// Returns the value of `ticket`.
    pub(super) fn get(&self, ticket: Ticket) -> Option<&T> {
        match &self.first {
            Some((first, value)) if *first == ticket => Some(value),
            _ => self.others.get(&ticket),
        }
    }

    /// Returns all values, in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.first.iter().map(|(_, value)| value).chain(self.others.values())
    }

    /// Returns the values before that of `ticket`, in their order.
    pub(super) fn before(&self, ticket: Ticket) -> impl Iterator<Item = &T> {
        let first = self.first.iter().filter(move |&&(first, _)| first < ticket).map(|(_, value)| value);
        first.chain(self.others.range(..ticket).map(|(_, value)| value))
    }

    /// Inserts the value of `ticket`, which has none yet.
    pub(super) fn insert(&mut self, ticket: Ticket, value: T) {
        match &mut self.first {
            None => self.first = Some((ticket, value)),
            Some((first, _)) if *first < ticket => {
                self.others.insert(ticket, value);
            }
            Some(first) => {
                let (displaced, other) = std::mem::replace(first, (ticket, value));
                self.others.insert(displaced, other);
            }
        }
    }

    /// Removes the value of `ticket`, and returns it.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        if self.is_first(ticket) { self.remove_first() } else { self.others.remove(&ticket) }
    }

    /// Removes the first value, and returns it.
    pub(super) fn remove_first(&mut self) -> Option<T> {
        let next = if self.others.is_empty() { None } else { self.others.pop_first() };
        std::mem::replace(&mut self.first, next).map(|(_, value)| value)
    }

    /// Removes the values for which `leaves` returns true, and returns them in their order.
    pub(super) fn extract(&mut self, mut leaves: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for (ticket, value) in self.first.take().into_iter().chain(std::mem::take(&mut self.others)) {
            if leaves(&value) {
                gone.push(value);
            } else {
                self.insert(ticket, value);
            }
        }
        gone
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Checks that `map` has what `expected` has, by every way to see it.
    #[track_caller]
    fn assert_same(map: &mut ByTicket<u64>, expected: &BTreeMap<Ticket, u64>) {
        assert_eq!(map.is_empty(), expected.is_empty());
        assert!(map.values().eq(expected.values()));
        assert_eq!(map.first(), expected.values().next());
        assert_eq!(map.first_mut().copied(), expected.values().next().copied());
        for ticket in 0..8 {
            assert_eq!(map.get(ticket), expected.get(&ticket));
            assert_eq!(map.get_mut(ticket).copied(), expected.get(&ticket).copied());
            assert_eq!(map.is_first(ticket), expected.keys().next() == Some(&ticket));
            assert!(map.before(ticket).eq(expected.range(..ticket).map(|(_, value)| value)));
        }
    }

    /// Calls `check` with both, filled in the order of every permutation of the first `count` tickets.
    fn in_every_order(count: usize, check: impl Fn(ByTicket<u64>, BTreeMap<Ticket, u64>)) {
        fn fill(rest: &[u64], done: &[u64], then: &impl Fn(&[u64])) {
            if rest.is_empty() {
                then(done);
            }
            for &ticket in rest {
                let left: Vec<_> = rest.iter().copied().filter(|&other| other != ticket).collect();
                fill(&left, &[done, &[ticket]].concat(), then);
            }
        }
        let tickets: Vec<_> = (1..=count as u64).collect();
        fill(&tickets, &[], &|order| {
            let (mut map, mut expected) = (ByTicket::default(), BTreeMap::new());
            for &ticket in order {
                map.insert(ticket, ticket * 10);
                expected.insert(ticket, ticket * 10);
                assert_same(&mut map, &expected);
            }
            check(map, expected);
        });
    }

    #[test]
    fn values_are_in_the_order_of_their_tickets_however_they_come_and_go() {
        in_every_order(4, |mut map, mut expected| {
            for ticket in [3, 5, 1, 2, 4, 0] {
                assert_eq!(map.remove(ticket), expected.remove(&ticket));
                assert_same(&mut map, &expected);
            }
        });
    }

    #[test]
    fn the_first_is_removed_before_the_others() {
        in_every_order(4, |mut map, mut expected| {
            while let Some((_, first)) = expected.pop_first() {
                assert_eq!(map.remove_first(), Some(first));
                assert_same(&mut map, &expected);
            }
            assert_eq!(map.remove_first(), None);
        });
    }

    #[test]
    fn what_is_extracted_is_in_order_and_so_is_what_stays() {
        for gone in 0..16_u64 {
            in_every_order(4, |mut map, mut expected| {
                let leaves = |value: u64| gone >> (value / 10 - 1) & 1 == 1;
                let extracted = map.extract(|&value| leaves(value));
                assert!(extracted.iter().eq(expected.values().filter(|&&value| leaves(value))));
                expected.retain(|_, value| !leaves(*value));
                assert_same(&mut map, &expected);
            });
        }
    }
}

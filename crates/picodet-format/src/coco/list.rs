//! Streams the elements of a list, and keeps the position for error messages.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

use super::FieldError;

/// The list and index of the entry that is being read, for error messages.
#[derive(Default)]
pub(super) struct CurrentEntry(Cell<Option<(&'static str, usize)>>);

impl CurrentEntry {
    /// Its index; 0 outside of the lists.
    pub(super) fn index(&self) -> usize {
        self.0.get().map_or(0, |(_, index)| index)
    }

    /// As in `detection 3: `; empty outside of the lists.
    pub(super) fn prefix(&self) -> String {
        self.0.get().map_or_else(String::new, |(kind, index)| format!("{kind} {index}: "))
    }
}

/// Passes each element of a list and its index to a function, holding one at a time.
pub(super) struct Each<'a, T, F> {
    kind: &'static str,
    entry: &'a CurrentEntry,
    receive: F,
    element: PhantomData<fn(T)>,
}

impl<'a, T, F: FnMut(usize, T) -> Result<(), FieldError>> Each<'a, T, F> {
    pub(super) fn new(kind: &'static str, entry: &'a CurrentEntry, receive: F) -> Self {
        Self { kind, entry, receive, element: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(usize, T) -> Result<(), FieldError>> DeserializeSeed<'de>
    for Each<'_, T, F>
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(usize, T) -> Result<(), FieldError>> Visitor<'de> for Each<'_, T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list with one {} per entry", self.kind)
    }

    /// Treats null as an empty list.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        for index in 0.. {
            self.entry.0.set(Some((self.kind, index)));
            let Some(element) = elements.next_element()? else { break };
            (self.receive)(index, element).map_err(A::Error::custom)?;
        }
        self.entry.0.set(None);
        Ok(())
    }
}

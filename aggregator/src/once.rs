//! Values made at their first use, from any thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::AggregatorError;

/// A value made at its first use.
pub(crate) struct Once<T>(Mutex<Option<Arc<T>>>);

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// One that is there from the beginning.
    pub(crate) fn of(value: T) -> Self {
        Self(Mutex::new(Some(Arc::new(value))))
    }

    /// The value; whoever comes while it is made waits for it.
    pub(crate) fn get(
        &self,
        make: impl FnOnce() -> Result<T, AggregatorError>,
    ) -> Result<Arc<T>, AggregatorError> {
        // A poisoned lock holds a whole value, or none.
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*slot {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make()?);
        *slot = Some(Arc::clone(&value));
        Ok(value)
    }
}

/// Values by key, each made at its first use. Different ones can be made at a time.
pub(crate) struct OnceMap<K, T>(Mutex<BTreeMap<K, Arc<Once<T>>>>);

impl<K: Ord, T> OnceMap<K, T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// As [`Once::get`]. Keys are never removed: the caller takes them from a short list.
    pub(crate) fn get(
        &self,
        key: K,
        make: impl FnOnce() -> Result<T, AggregatorError>,
    ) -> Result<Arc<T>, AggregatorError> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.entry(key).or_insert_with(|| Arc::new(Once::new()));
            Arc::clone(slot)
        };
        slot.get(make)
    }
}

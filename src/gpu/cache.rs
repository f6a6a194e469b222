//! A cache of values of any type, under keys of any type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// One map for each pair of a key type and a value type.
#[derive(Debug, Default)]
pub(crate) struct TypedCache(Mutex<HashMap<TypeId, Box<dyn Any + Send>>>);

impl TypedCache {
    /// The value stored under `key`.
    pub(crate) fn get<K, V>(&self, key: &K) -> Option<V>
    where
        K: Any + Eq + Hash + Send,
        V: Any + Clone + Send,
    {
        self.with(|map: &mut HashMap<K, V>| map.get(key).cloned()).flatten()
    }

    /// Stores `value` under `key`.
    pub(crate) fn insert<K, V>(&self, key: K, value: V)
    where
        K: Any + Eq + Hash + Send,
        V: Any + Send,
    {
        self.with(|map: &mut HashMap<K, V>| map.insert(key, value));
    }

    fn with<K, V, T>(&self, work: impl FnOnce(&mut HashMap<K, V>) -> T) -> Option<T>
    where
        K: Any + Send,
        V: Any + Send,
    {
        // A panic elsewhere cannot leave this map half-changed.
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let map = maps.entry(TypeId::of::<HashMap<K, V>>());
        let map = map.or_insert_with(|| Box::new(HashMap::<K, V>::new()));
        map.downcast_mut().map(work)
    }
}

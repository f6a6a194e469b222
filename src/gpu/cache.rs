//! What is made once and kept, by keys of any type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// A map for each pair of types, of a key and of what it stands for.
#[derive(Debug, Default)]
pub(crate) struct TypedCache(Mutex<HashMap<TypeId, Box<dyn Any + Send>>>);

impl TypedCache {
    /// What is kept under `key`.
    pub(crate) fn get<K, V>(&self, key: &K) -> Option<V>
    where
        K: Any + Eq + Hash + Send,
        V: Any + Clone + Send,
    {
        self.with(|map: &mut HashMap<K, V>| map.get(key).cloned()).flatten()
    }

    /// Keeps `value` under `key`.
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

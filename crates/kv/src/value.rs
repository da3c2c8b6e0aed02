//! temporary
pub(crate) mod element;
pub(crate) mod hash;
pub(crate) mod index_map;
pub(crate) mod list;
pub(crate) mod random;
pub(crate) mod ranking;
pub(crate) mod set;
pub(crate) mod sorted_set;

//! Tensors of Burn's as vectors of ours, in place.

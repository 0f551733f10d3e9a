//! JSON guard: what may not even be parsed into values.

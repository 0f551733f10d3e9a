use super::*;
pub(crate) enum Fault { ErrorAsFalse, ErrorAsTrue }

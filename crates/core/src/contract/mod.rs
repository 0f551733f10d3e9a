//! Contracts: OpenAPI documents compiled to operations.

/// Index of an operation in its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationIndex(pub u32);

/// Path parameters, decoded: name and value, in the template's order.
#[derive(Debug, Clone, Default)]
pub struct PathParameters(pub Vec<(Box<str>, Box<str>)>);

/// A compiled contract.
#[derive(Debug, Default)]
pub struct Contract {}

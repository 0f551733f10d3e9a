//! Contracts: OpenAPI documents compiled to operations.

use http::Method;

/// Index of an operation in its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationIndex(pub u32);

/// Path parameters, decoded: name and value, in the template's order.
#[derive(Debug, Clone, Default)]
pub struct PathParameters(pub Vec<(Box<str>, Box<str>)>);

/// What a contract says of a method and path.
#[derive(Debug)]
pub enum Found {
    /// The operation, and what the path says.
    Operation(OperationIndex, PathParameters),
    /// The path exists, the method does not.
    MethodNotAllowed {
        /// The methods that do.
        allow: Vec<Method>,
    },
    /// No such path.
    NotFound,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    method: Method,
    path: Box<str>,
    takes_body: bool,
}

impl Operation {
    /// Whether a body is in the contract.
    pub fn takes_body(&self) -> bool {
        self.takes_body
    }
}

/// A compiled contract.
#[derive(Debug, Default)]
pub struct Contract {
    operations: Vec<Operation>,
}

impl Contract {
    /// A contract of fixed paths, for tests.
    pub fn of(operations: &[(Method, &str, bool)]) -> Self {
        let operation = |(method, path, takes_body): &(Method, &str, bool)| Operation {
            method: method.clone(),
            path: (*path).into(),
            takes_body: *takes_body,
        };
        Self { operations: operations.iter().map(operation).collect() }
    }

    /// Finds the operation.
    pub fn find(&self, method: &Method, rest: &str) -> Found {
        let mut allow = Vec::new();
        for (index, operation) in (0..).zip(&self.operations) {
            if *operation.path == *rest {
                if operation.method == *method {
                    return Found::Operation(OperationIndex(index), PathParameters::default());
                }
                allow.push(operation.method.clone());
            }
        }
        if allow.is_empty() { Found::NotFound } else { Found::MethodNotAllowed { allow } }
    }

    /// The operation that `find` named.
    #[expect(clippy::indexing_slicing, reason = "an index comes only from `find` of the same contract")]
    pub fn operation(&self, index: OperationIndex) -> &Operation {
        &self.operations[index.0 as usize]
    }
}

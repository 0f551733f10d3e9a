//! receive: one unambiguous request, one canonical path, one operation.

pub mod path;

use std::sync::Arc;

use crate::contract::{OperationIndex, PathParameters};
use crate::halt::Halt;
use crate::request::{Request, Wire};
use crate::route::{Route, Routes};

/// Proof that the request is unambiguous, within its limits, and names an operation of a configured route.
#[derive(Debug)]
pub struct Received {
    route: Arc<Route>,
    operation: OperationIndex,
    path_parameters: PathParameters,
}

impl Received {
    /// The route.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The operation in the route's contract.
    pub fn operation(&self) -> OperationIndex {
        self.operation
    }

    /// Path parameters, decoded, in the template's order.
    pub fn path_parameters(&self) -> &PathParameters {
        &self.path_parameters
    }
}

/// Takes what came over the wire; proves that it has one reading.
///
/// # Errors
/// 400 for ambiguity, 404 and 405 for what no contract names, 413, 414, 431 for what is too large.
pub fn receive(routes: &Routes, wire: Wire) -> Result<Request<Received>, Halt> {
    let _ = (routes, wire);
    Err(Halt::new(crate::halt::Reason::UnknownRoute, "not written yet"))
}

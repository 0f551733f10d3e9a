//! Policy: Cedar, indexed by scope.

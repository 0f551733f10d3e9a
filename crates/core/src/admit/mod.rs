//! admit: may they spend.
//!
//! Every budget of the route that applies must have room ([`Buckets`]); then one is taken from each, at once.

mod buckets;
mod rate;

use std::hash::Hasher;
use std::net::IpAddr;
use std::ops::Deref;

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue};

pub use buckets::{BUCKETS, Buckets};
pub use rate::{Rate, RateError};

use crate::contract::OperationIndex;
use crate::halt::{Halt, Reason};
use crate::identify::{Identified, Principal};
use crate::request::Request;
use buckets::{Claim, Key, Refused};

/// Takes an identified request; proves that every budget of its route had room, and takes one from each.
///
/// `now` is in nanoseconds since any moment that stays the same while the process lives. When one budget refuses,
/// nothing is taken from the others.
///
/// # Errors
/// 429 with the limit that refused and for how long; 503 when there is no room to count one subject more.
pub fn admit(buckets: &Buckets, request: Request<Identified>, now: u64) -> Result<Request<Admitted>, Halt> {
    let stage = request.stage();
    let route = stage.route();
    let caller = Caller {
        route: &route.name,
        operation: stage.operation(),
        principal: stage.principal(),
        address: request.head().peer.address,
    };
    let taken = take(buckets, &route.budgets, &caller, now)?;
    Ok(request.advance(|identified| Admitted { identified, taken }))
}

/// One budget of a route.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Its name, shown to clients in `RateLimit`; unique in its route.
    pub name: Box<str>,
    /// Who shares a bucket.
    pub per: Per,
    /// How much comes back in how long.
    pub limit: Rate,
    /// How many may come at once after a rest. Zero admits nothing.
    pub burst: u32,
    /// The operations it is for; `None` is all of the route.
    pub operations: Option<Box<[OperationIndex]>>,
}

impl Budget {
    /// A budget for all operations that lets a whole period's count come at once.
    pub fn new(name: &str, per: Per, limit: Rate) -> Self {
        Self { name: name.into(), per, limit, burst: limit.count(), operations: None }
    }

    /// Whether a request of this operation takes from it.
    pub fn applies(&self, operation: OperationIndex) -> bool {
        self.operations.as_ref().is_none_or(|operations| operations.contains(&operation))
    }
}

/// Who shares a bucket of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// One for each subject of an issuer; anonymous callers are told apart by address.
    Principal,
    /// One for each IPv4 address and each IPv6 /64: a single host can use all addresses of a /64.
    Address,
    /// One for the whole route.
    Route,
}

impl Per {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Address => "address",
            Self::Route => "route",
        }
    }
}

/// Proof that every budget had room, and that its share was taken before any costly work.
#[derive(Debug)]
pub struct Admitted {
    identified: Identified,
    taken: Vec<u16>,
}

impl Admitted {
    /// What was taken.
    pub fn grant(&self) -> Grant<'_> {
        Grant { budgets: &self.identified.route().budgets, taken: &self.taken }
    }
}

impl Deref for Admitted {
    type Target = Identified;
    fn deref(&self) -> &Identified {
        &self.identified
    }
}

/// The budgets that one request took from.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'r> {
    budgets: &'r [Budget],
    taken: &'r [u16],
}

impl<'r> Grant<'r> {
    /// The budgets, in the order of the file.
    pub fn budgets(self) -> impl Iterator<Item = &'r Budget> {
        self.taken.iter().filter_map(move |index| self.budgets.get(usize::from(*index)))
    }

    /// Whether no budget applied.
    pub fn is_empty(self) -> bool {
        self.taken.is_empty()
    }
}

/// What budgets are counted by.
struct Caller<'r> {
    route: &'r str,
    operation: OperationIndex,
    principal: &'r Principal,
    address: IpAddr,
}

fn take(buckets: &Buckets, budgets: &[Budget], caller: &Caller<'_>, now: u64) -> Result<Vec<u16>, Halt> {
    let mut claims = Vec::new();
    for (index, budget) in budgets.iter().enumerate().filter(|(_, budget)| budget.applies(caller.operation)) {
        let budget_index = u16::try_from(index)
            .map_err(|_| Halt::new(Reason::Internal, "more than 65536 budgets on a route"))?;
        let interval = budget.limit.interval();
        claims.push(Claim {
            key: key(buckets, budget, caller),
            budget: budget_index,
            interval,
            capacity: interval.saturating_mul(budget.burst.into()),
        });
    }
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    match buckets.take(&mut claims, now) {
        Ok(()) => {
            let mut taken: Vec<u16> = claims.iter().map(|claim| claim.budget).collect();
            taken.sort_unstable();
            Ok(taken)
        }
        Err(Refused::Full) => Err(Halt::new(Reason::Overloaded, "no room to count one more subject")
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))),
        Err(Refused::Exhausted { budget, wait }) => Err(match budgets.get(usize::from(budget)) {
            Some(budget) => refuse(budget, caller.route, wait),
            None => Halt::new(Reason::Internal, "a budget without a place in its route"),
        }),
    }
}

fn key(buckets: &Buckets, budget: &Budget, caller: &Caller<'_>) -> Key {
    buckets.key(|hasher| {
        text(hasher, caller.route);
        text(hasher, &budget.name);
        hasher.write_u32(budget.limit.count());
        hasher.write_u64(budget.limit.period().as_secs());
        hasher.write_u32(budget.burst);
        hasher.write(budget.per.as_str().as_bytes());
        match (budget.per, caller.principal) {
            (Per::Route, _) => hasher.write_u8(0),
            (Per::Principal, Principal::Identity(identity)) => {
                hasher.write_u8(1);
                text(hasher, &identity.issuer);
                text(hasher, &identity.subject);
            }
            (Per::Principal, Principal::Anonymous) | (Per::Address, _) => {
                hasher.write_u8(2);
                hasher.write_u64(network(caller.address));
            }
        }
    })
}

/// Text with its length: `ab` + `c` is not `a` + `bc`.
fn text(hasher: &mut dyn Hasher, text: &str) {
    hasher.write_usize(text.len());
    hasher.write(text.as_bytes());
}

/// What counts as one address: all of IPv4, the first 64 bits of IPv6.
fn network(address: IpAddr) -> u64 {
    // An IPv4 address in IPv6 clothes is itself; by its /64 all of IPv4 would share one bucket. `::/64` holds no
    // host, so the two ranges do not meet.
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        }
    }
}

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const REMAINING_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET_REQUESTS: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");

/// 429 that says which limit refused and when to come again (draft-ietf-httpapi-ratelimit-headers-11, and the
/// `x-ratelimit-*-requests` that SDKs of language models read).
fn refuse(budget: &Budget, route: &str, wait: u64) -> Halt {
    let seconds = wait.div_ceil(1_000_000_000).max(1);
    let (count, period) = (budget.limit.count(), budget.limit.period().as_secs());
    let name = quoted(&budget.name);
    let detail = format!(
        "budget `{}` of route `{route}` ({} per {}) has no room for {seconds} s",
        budget.name,
        budget.limit,
        budget.per.as_str()
    );
    let mut halt =
        Halt::new(Reason::BudgetExhausted, detail).with_header(RETRY_AFTER, HeaderValue::from(seconds));
    for (header, value) in [
        (RATELIMIT_POLICY, format!("{name};q={count};w={period}")),
        (RATELIMIT, format!("{name};r=0;t={seconds}")),
        (RESET_REQUESTS, format!("{seconds}s")),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            halt = halt.with_header(header, value);
        }
    }
    halt.with_header(LIMIT_REQUESTS, HeaderValue::from(count))
        .with_header(REMAINING_REQUESTS, HeaderValue::from_static("0"))
}

/// A structured-field string (RFC 9651 section 3.3.3), which holds printable ASCII only.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;

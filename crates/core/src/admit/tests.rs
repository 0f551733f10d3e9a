use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::identify::Identity;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 77 * SECOND;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn budget(name: &str, per: Per, limit: &str) -> Budget {
    Budget::new(name, per, rate(limit))
}

fn identity(issuer: &str, subject: &str) -> Principal {
    Principal::Identity(Arc::new(Identity {
        issuer: issuer.into(),
        subject: subject.into(),
        claims: serde_json::Map::new(),
        scopes: Vec::new(),
        roles: Vec::new(),
        expires: 0,
        not_before: None,
        token_id: None,
    }))
}

/// One caller of one route, with everything that a budget may look at.
#[derive(Clone)]
struct Who {
    route: &'static str,
    operation: u32,
    principal: Principal,
    address: &'static str,
}

impl Who {
    fn anonymous(address: &'static str) -> Self {
        Self { route: "orders", operation: 0, principal: Principal::Anonymous, address }
    }

    fn named(subject: &str) -> Self {
        Self { principal: identity("corp", subject), ..Self::anonymous("192.0.2.1") }
    }

    fn take(&self, buckets: &Buckets, budgets: &[Budget], now: u64) -> Result<Vec<u16>, Halt> {
        let caller = Caller {
            route: self.route,
            operation: OperationIndex(self.operation),
            principal: &self.principal,
            address: self.address.parse().unwrap(),
        };
        take(buckets, budgets, &caller, now)
    }

    /// How many requests in a row pass, all at `now`.
    fn drain(&self, buckets: &Buckets, budgets: &[Budget], now: u64) -> usize {
        (0..10_000).take_while(|_| self.take(buckets, budgets, now).is_ok()).count()
    }
}

#[test]
fn a_burst_then_the_rate() {
    let buckets = Buckets::default();
    let budgets = [Budget { burst: 3, ..budget("b", Per::Principal, "60/min") }];
    let alice = Who::named("alice");
    assert_eq!(alice.drain(&buckets, &budgets, START), 3);
    assert_eq!(alice.drain(&buckets, &budgets, START + SECOND - 1), 0);
    assert_eq!(alice.drain(&buckets, &budgets, START + SECOND), 1);
    assert_eq!(alice.drain(&buckets, &budgets, START + 3 * SECOND), 2);
    assert_eq!(alice.drain(&buckets, &budgets, START + 1000 * SECOND), 3);
    // A clock that another thread read earlier gives nothing back.
    assert_eq!(alice.drain(&buckets, &budgets, START), 0);
}

#[test]
fn who_shares_a_bucket() {
    for (per, one, other, shares) in [
        (Per::Principal, Who::named("alice"), Who::named("bob"), false),
        (Per::Principal, Who::named("alice"), Who { address: "192.0.2.9", ..Who::named("alice") }, true),
        (
            Per::Principal,
            Who::named("a"),
            Who { principal: identity("other", "a"), ..Who::named("a") },
            false,
        ),
        (Per::Principal, Who::named("a"), Who::anonymous("192.0.2.1"), false),
        (Per::Principal, Who::anonymous("192.0.2.1"), Who::anonymous("192.0.2.1"), true),
        (Per::Principal, Who::anonymous("192.0.2.1"), Who::anonymous("192.0.2.2"), false),
        (Per::Address, Who::named("alice"), Who::named("bob"), true),
        (Per::Address, Who::anonymous("2001:db8::1"), Who::anonymous("2001:db8::ffff:1"), true),
        (Per::Address, Who::anonymous("2001:db8::1"), Who::anonymous("2001:db8:0:1::1"), false),
        (Per::Address, Who::anonymous("192.0.2.1"), Who::anonymous("::ffff:192.0.2.1"), true),
        (Per::Address, Who::anonymous("192.0.2.1"), Who::anonymous("::ffff:192.0.2.2"), false),
        (Per::Route, Who::named("alice"), Who::anonymous("192.0.2.7"), true),
        (Per::Route, Who::named("alice"), Who { route: "users", ..Who::named("alice") }, false),
        (Per::Route, Who::named("alice"), Who { operation: 5, ..Who::named("alice") }, true),
    ] {
        let buckets = Buckets::default();
        let budgets = [budget("b", per, "5/min")];
        assert_eq!(one.drain(&buckets, &budgets, START), 5);
        let left = other.drain(&buckets, &budgets, START);
        assert_eq!(left, if shares { 0 } else { 5 }, "{per:?} {} {}", one.address, other.address);
    }
}

#[test]
fn budgets_are_for_their_operations() {
    let buckets = Buckets::default();
    let login =
        Budget { operations: Some(Box::new([OperationIndex(3)])), ..budget("login", Per::Address, "2/min") };
    let budgets = [budget("all", Per::Address, "5/min"), login];
    let reading = Who::anonymous("192.0.2.1");
    let logging_in = Who { operation: 3, ..reading.clone() };
    assert_eq!(logging_in.take(&buckets, &budgets, START).unwrap(), [0, 1]);
    assert_eq!(reading.take(&buckets, &budgets, START).unwrap(), [0]);
    assert_eq!(logging_in.drain(&buckets, &budgets, START), 1);
    assert_eq!(reading.drain(&buckets, &budgets, START), 2);
    assert!(Who::named("x").take(&buckets, &[], START).unwrap().is_empty());
}

#[test]
fn when_one_refuses_nothing_is_taken_from_the_others() {
    let buckets = Buckets::default();
    let (wide, narrow) = (budget("wide", Per::Route, "10/min"), budget("narrow", Per::Principal, "1/min"));
    let both = [wide.clone(), narrow];
    let alice = Who::named("alice");
    assert_eq!(alice.drain(&buckets, &both, START), 1);
    assert_eq!(alice.drain(&buckets, &both, START), 0);
    assert_eq!(alice.drain(&buckets, &[wide], START), 9);
}

#[test]
fn buckets_survive_a_reload_unless_the_budget_changed() {
    let buckets = Buckets::default();
    let alice = Who::named("alice");
    assert_eq!(alice.drain(&buckets, &[budget("b", Per::Principal, "5/min")], START), 5);
    assert_eq!(alice.drain(&buckets, &[budget("b", Per::Principal, "5/60s")], START), 0);
    assert_eq!(alice.drain(&buckets, &[budget("b", Per::Principal, "6/min")], START), 6);
    assert_eq!(alice.drain(&buckets, &[budget("c", Per::Principal, "5/min")], START), 5);
}

#[test]
fn a_budget_named_twice_counts_once() {
    let buckets = Buckets::default();
    let twice = [budget("b", Per::Route, "5/min"), budget("b", Per::Route, "5/min")];
    assert_eq!(Who::named("a").drain(&buckets, &twice, START), 5);
}

#[test]
fn a_refusal_says_which_limit_and_when() {
    let buckets = Buckets::default();
    let budgets = [budget("wide", Per::Route, "1000/hour"), budget("a \"b\"\\é", Per::Principal, "2/min")];
    let alice = Who::named("alice");
    assert_eq!(alice.drain(&buckets, &budgets, START), 2);
    let Err(Halt::Refusal(refusal)) = alice.take(&buckets, &budgets, START + SECOND / 2) else {
        panic!("passed");
    };
    assert_eq!(refusal.reason, Reason::BudgetExhausted);
    assert!(refusal.detail.contains("(2/min per principal)"), "{}", refusal.detail);
    let mut headers: Vec<_> =
        refusal.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            r#"ratelimit-policy: "a \"b\"\\?";q=2;w=60"#,
            r#"ratelimit: "a \"b\"\\?";r=0;t=30"#,
            "retry-after: 30",
            "x-ratelimit-limit-requests: 2",
            "x-ratelimit-remaining-requests: 0",
            "x-ratelimit-reset-requests: 30s",
        ]
    );
    // After exactly what Retry-After says there is room.
    assert!(alice.take(&buckets, &budgets, START + SECOND / 2 + 30 * SECOND).is_ok());
}

#[test]
fn the_longest_wait_is_told() {
    let buckets = Buckets::default();
    let budgets = [budget("short", Per::Route, "1/s"), budget("long", Per::Route, "1/hour")];
    let alice = Who::named("alice");
    assert_eq!(alice.drain(&buckets, &budgets, START), 1);
    let Err(Halt::Refusal(refusal)) = alice.take(&buckets, &budgets, START) else { panic!("passed") };
    assert!(refusal.detail.contains("`long`"), "{}", refusal.detail);
}

#[test]
fn no_more_buckets_than_the_limit_and_strangers_wait() {
    let buckets = Buckets::new(64);
    let budgets = [budget("b", Per::Principal, "1/min")];
    let names: Vec<Who> = (0..2000).map(|n| Who::named(&n.to_string())).collect();
    let admitted = names.iter().filter(|who| who.take(&buckets, &budgets, START).is_ok()).count();
    assert_eq!(admitted, buckets.len());
    assert!(buckets.len() <= 64);
    let refused = names.iter().find_map(|who| who.take(&buckets, &budgets, START).err());
    assert!(refused.is_some());
    let full = Who::named("stranger of a full shard");
    let halts: Vec<_> =
        names.iter().filter_map(|who| who.take(&buckets, &budgets, START + 1).err()).collect();
    assert!(halts.iter().any(|halt| halt.reason() == Some(Reason::Overloaded)));
    // Once the first are full again, they make room.
    let later = START + 61 * SECOND;
    assert!(full.take(&buckets, &budgets, later).is_ok());
    buckets.sweep(later + 61 * SECOND);
    assert!(buckets.is_empty());
}

#[test]
fn extremes_refuse_rather_than_overflow() {
    let buckets = Buckets::default();
    let slow = [Budget { burst: u32::MAX, ..budget("b", Per::Route, "1/366d") }];
    assert!(Who::named("a").take(&buckets, &slow, u64::MAX - 1).is_ok());
    let never = [Budget { burst: 0, ..budget("n", Per::Route, "1/s") }];
    assert!(Who::named("a").take(&buckets, &never, START).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any window as long as the period sees at most count + burst, however the requests are spread.
    #[test]
    fn never_more_than_the_rate_and_the_burst(
        count in 1u32..20, burst in 1u32..20, seconds in 1u64..100,
        steps in prop::collection::vec(0u64..20_000_000_000, 1..200),
    ) {
        let buckets = Buckets::default();
        let limit = Rate::new(count, std::time::Duration::from_secs(seconds)).unwrap();
        let budgets = [Budget { burst, ..Budget::new("b", Per::Route, limit) }];
        let alice = Who::named("alice");
        let mut now = START;
        let mut passed: Vec<u64> = Vec::new();
        for step in steps {
            now += step / u64::from(count);
            if alice.take(&buckets, &budgets, now).is_ok() {
                passed.push(now);
            }
        }
        for (index, first) in passed.iter().enumerate() {
            let within = passed[index..].iter().take_while(|at| **at < first + seconds * SECOND).count();
            prop_assert!(within <= (count + burst) as usize, "{within} in one period");
        }
    }

    /// Threads that race for overlapping sets of budgets overspend none of them, and waste nothing either.
    #[test]
    fn no_overspend_under_concurrency(
        limits in prop::collection::vec(1u32..40, 1..4),
        masks in prop::collection::vec(1usize..8, 4),
    ) {
        let buckets = Buckets::default();
        let all: Vec<Budget> = limits
            .iter()
            .enumerate()
            .map(|(n, count)| Budget::new(&n.to_string(), Per::Route, Rate::new(*count, std::time::Duration::from_secs(3600)).unwrap()))
            .collect();
        let taken: Vec<AtomicU64> = all.iter().map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|scope| {
            for mask in &masks {
                let mine: Vec<Budget> = all
                    .iter()
                    .enumerate()
                    .filter(|(n, _)| mask >> n & 1 == 1)
                    .map(|(_, budget)| budget.clone())
                    .collect();
                let (buckets, taken) = (&buckets, &taken);
                scope.spawn(move || {
                    for step in 0..60 {
                        for index in Who::named("x").take(buckets, &mine, START + step).unwrap_or_default() {
                            let n: usize = mine[usize::from(index)].name.parse().unwrap();
                            taken[n].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        for (n, count) in limits.iter().enumerate() {
            let took = taken[n].load(Ordering::Relaxed);
            prop_assert!(took <= u64::from(*count), "budget {n}: {took} of {count}");
            let left = Who::named("x").drain(&buckets, std::slice::from_ref(&all[n]), START + 60) as u64;
            prop_assert_eq!(took + left, u64::from(*count), "budget {}", n);
        }
    }
}

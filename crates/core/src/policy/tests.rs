//! The indexed engine against plain Cedar, on policies and calls that a seed decides.

#![expect(clippy::disallowed_methods, reason = "a test prints how long a decision takes")]

mod generator;
mod loading;

use std::time::Instant;

use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert, proptest};

use super::engine::Fault;
use super::*;
use generator::{Seed, World, random_call};

/// Compiles without the strict check, which the error forms would not pass.
fn compiled(world: &World) -> (Policy, cedar_policy::PolicySet) {
    let set: cedar_policy::PolicySet =
        world.text.parse().unwrap_or_else(|error| panic!("{error:?}\n{}", world.text));
    (Policy::compile(set.clone(), &world.actions, &world.roles).unwrap(), set)
}

/// Compares whole responses on `calls` calls; the first difference, if any.
fn difference(
    policy: &Policy,
    world: &World,
    seed: &mut Seed,
    calls: usize,
    seen: &mut Seen,
) -> Option<String> {
    for _ in 0..calls {
        let drawn = random_call(world, seed);
        let call = drawn.call(policy);
        let index = usize::try_from(call.action.index).unwrap();
        let fast = policy.respond(index, &call).ok();
        let plain = policy.plain.respond(index, &call);
        if let Some(plain) = &plain {
            seen.note(plain);
        }
        if fast != plain {
            return Some(format!("{drawn:?}\nfast {fast:?}\nplain {plain:?}"));
        }
    }
    None
}

#[derive(Debug, Default)]
struct Seen {
    calls: usize,
    allowed: usize,
    erred: usize,
    several: usize,
}

impl Seen {
    fn note(&mut self, response: &Response) {
        self.calls += 1;
        self.allowed += usize::from(response.is_allowed);
        self.erred += usize::from(!response.errors.is_empty());
        self.several += usize::from(response.reasons.len() > 1);
    }
}

#[test]
fn the_index_answers_as_plain_cedar_does() {
    let mut seen = Seen::default();
    for number in 0..200 {
        let mut seed = Seed::new(number);
        let world = World::random(&mut seed, true);
        let (policy, _) = compiled(&world);
        if let Some(difference) = difference(&policy, &world, &mut seed, 100, &mut seen) {
            panic!("world {number}: {difference}\n{}", world.text);
        }
    }
    // The comparison means nothing if everything is denied.
    assert_eq!(seen.calls, 20_000);
    assert!(seen.allowed > 3_000 && seen.erred > 2_000 && seen.several > 1_000, "{seen:?}");
}

#[test]
fn every_planted_fault_is_found() {
    for fault in Fault::ALL {
        let found = (1_000..1_060).any(|number| {
            let mut seed = Seed::new(number);
            let world = World::random(&mut seed, true);
            let (mut policy, set) = compiled(&world);
            policy.engine.plant(*fault, &set);
            difference(&policy, &world, &mut seed, 60, &mut Seen::default()).is_some()
        });
        assert!(found, "{fault:?} was not found");
    }
}

#[test]
fn a_fault_in_the_facts_is_found() {
    let faults: [fn(&mut generator::Drawn); 5] = [
        |drawn| drawn.is_tls = !drawn.is_tls,
        |drawn| drawn.now += 1,
        |drawn| drawn.query = None,
        |drawn| drawn.path.iter_mut().for_each(|(_, value)| *value = "o0".into()),
        |drawn| drawn.address = [192, 0, 2, 1].into(),
    ];
    for (number, fault) in faults.iter().enumerate() {
        let found = (2_000..2_060).any(|world| {
            let mut seed = Seed::new(world);
            let world = World::random(&mut seed, true);
            let (policy, _) = compiled(&world);
            (0..60).any(|_| {
                let honest = random_call(&world, &mut seed);
                let mut wrong = honest.clone();
                fault(&mut wrong);
                let (honest, wrong) = (honest.call(&policy), wrong.call(&policy));
                let index = usize::try_from(honest.action.index).unwrap();
                policy.respond(index, &wrong).ok() != policy.plain.respond(index, &honest)
            })
        });
        assert!(found, "fault {number} was not found");
    }
}

#[test]
fn what_is_generated_without_errors_passes_the_strict_check() {
    for number in 0..20 {
        let mut seed = Seed::new(3_000 + number);
        let world = World::random(&mut seed, false);
        let sources = [Source { name: "world.cedar".into(), text: world.text.clone() }];
        let (policy, loaded) = Policy::load_with_roles(&sources, &world.actions, &world.compiled_roles())
            .unwrap_or_else(|problems| panic!("{problems:#?}\n{}", world.text));
        assert_eq!(loaded.policies, world.policies);
        for _ in 0..50 {
            let drawn = random_call(&world, &mut seed);
            let call = drawn.call(&policy);
            let verdict = policy.decide(&call);
            assert_eq!(verdict, policy.decide_plain(&call));
            // A policy that passed the strict check can only err by overflow, which these do not contain.
            assert!(!matches!(verdict, Verdict::Indeterminate { .. }), "{verdict:?} {drawn:?}");
        }
    }
}

#[test]
fn a_difference_to_plain_cedar_refuses_and_names_the_policy() {
    let mut found = false;
    for number in 0..40 {
        let mut seed = Seed::new(4_000 + number);
        let world = World::random(&mut seed, false);
        let (mut policy, set) = compiled(&world);
        policy.engine.plant(Fault::PermitAsForbid, &set);
        for _ in 0..20 {
            let drawn = random_call(&world, &mut seed);
            policy.differences = Default::default();
            policy.calls.store(1, Ordering::Relaxed);
            let unseen = policy.decide(&drawn.call(&policy));
            assert!(!matches!(unseen, Verdict::Indeterminate { .. }), "only the shadow sees it");
            policy.calls.store(SHADOW_EVERY, Ordering::Relaxed);
            let shadowed = policy.decide(&drawn.call(&policy));
            let alone = policy.decide(&drawn.call(&policy));
            if let Verdict::Indeterminate { cause: Cause::Disagreement, policies } = &shadowed {
                assert!(!policies.is_empty());
                // From now on both engines are asked, whatever the count.
                assert_eq!(alone, shadowed);
                assert_eq!(policy.take_differences(), 2);
                assert_eq!(policy.take_differences(), 0);
                found = true;
            }
        }
    }
    assert!(found);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn adding_a_forbid_never_turns_no_into_yes(number in any::<u64>()) {
        let mut seed = Seed::new(number);
        let world = World::random(&mut seed, true);
        let more = World { text: format!("{}\n{}", world.text, generator::forbid(&mut seed)), ..world.clone() };
        let (before, _) = compiled(&world);
        let (after, _) = compiled(&more);
        for _ in 0..20 {
            let drawn = random_call(&world, &mut seed);
            let [was, is] = [&before, &after].map(|policy| policy.decide(&drawn.call(policy)));
            let allows = |verdict: &Verdict| matches!(verdict, Verdict::Allow { .. });
            prop_assert!(allows(&was) || !allows(&is), "{was:?} became {is:?}");
        }
    }
}

#[test]
fn an_action_of_another_policy_is_refused() {
    let mut seed = Seed::new(7);
    let world = World::random(&mut seed, false);
    let (one, _) = compiled(&world);
    let (two, _) = compiled(&world);
    let drawn = random_call(&world, &mut seed);
    let expected = refused(Cause::UnknownAction);
    assert_eq!(two.decide(&drawn.call(&one)), expected);
    assert_eq!(two.decide_plain(&drawn.call(&one)), expected);
    assert_eq!(one.action("nothing", "here"), None);
    assert!(two.spec(drawn.call(&one).action).is_none());
}

#[test]
fn a_principal_is_prepared_once_and_never_taken_for_another() {
    let mut seed = Seed::new(8);
    let world = World::random(&mut seed, false);
    let (policy, _) = compiled(&world);
    let identity = Arc::new(generator::identity(&mut seed));
    let first = policy.prepared(&identity);
    assert!(Arc::ptr_eq(&first, &policy.prepared(&identity)));
    // Another identity at a key that is taken: what is kept there is not its own.
    let other = Arc::new(generator::identity(&mut seed));
    let kept = policy.principals.get(&Arc::as_ptr(&identity).addr()).unwrap();
    policy.principals.insert(Arc::as_ptr(&other).addr(), kept);
    assert!(!Arc::ptr_eq(&first, &policy.prepared(&other)));
}

#[test]
fn facts_that_are_not_the_actions_refuse() {
    let mut seed = Seed::new(9);
    let text = "permit(principal, action, resource) when { context.time >= 0 };\
        forbid(principal, action in Action::\"a0\", resource)\
        when { context has path.id && context.path.id == \"no\" };\
        forbid(principal, action in Action::\"a0\", resource)\
        when { context has query.page && context.query.page == \"no\" };";
    let world = World { text: text.into(), ..World::random(&mut seed, false) };
    let (policy, _) = compiled(&world);
    let action = policy.action("a0", "op0").unwrap();
    let path: Vec<(Box<str>, Box<str>)> = vec![("id".into(), "yes".into())];
    let check = |facts: Facts<'_>, expected: Option<Cause>| {
        let principal = &Principal::Anonymous;
        let call = Call { principal, action, address: [127, 0, 0, 1].into(), is_tls: true, now: 5, facts };
        let cause = match policy.decide(&call) {
            Verdict::Indeterminate { cause, .. } => Some(cause),
            Verdict::Allow { .. } => None,
            Verdict::Deny { .. } => panic!("nothing denies {facts:?}"),
        };
        assert_eq!(cause, expected, "{facts:?}");
    };
    check(Facts::Rest { path: &path, query: None }, None);
    check(Facts::Rest { path: &path, query: Some("page=1&other=1&other=2") }, None);
    check(Facts::Rest { path: &[], query: None }, Some(Cause::IncompleteFacts));
    check(Facts::Rest { path: &path, query: Some("page=1&pag%65=no") }, Some(Cause::AmbiguousQuery));
    check(Facts::Rest { path: &path, query: Some("page=%ff") }, Some(Cause::AmbiguousQuery));
    check(Facts::Model { model: "m", stream: true, tools: false }, Some(Cause::IncompleteFacts));
}

#[test]
fn an_ipv4_address_is_one_however_it_is_written() {
    let mut seed = Seed::new(10);
    let text = "permit(principal, action, resource) when { context.address.isInRange(ip(\"10.0.0.0/8\")) };";
    let world = World { text: text.into(), ..World::random(&mut seed, false) };
    let (policy, _) = compiled(&world);
    let path: Vec<(Box<str>, Box<str>)> = vec![("id".into(), "yes".into())];
    let check = |address: &str, expected: bool| {
        let call = Call {
            principal: &Principal::Anonymous,
            action: policy.action("a0", "op0").unwrap(),
            address: address.parse().unwrap(),
            is_tls: true,
            now: 5,
            facts: Facts::Rest { path: &path, query: None },
        };
        let verdict = policy.decide(&call);
        assert_eq!(matches!(verdict, Verdict::Allow { .. }), expected, "{address}: {verdict:?}");
        assert_eq!(verdict, policy.decide_plain(&call));
    };
    check("10.1.2.3", true);
    check("::ffff:10.1.2.3", true);
    check("11.1.2.3", false);
    check("::10.1.2.3", false);
    check("2001:db8::1", false);
}

/// Large sets agree too. Optimised, it prints what a decision costs here.
#[test]
fn large_sets_agree_as_well() {
    for policies in [20, 50, 200, 1_000] {
        let mut seed = Seed::new(11);
        let world = World::sized(&mut seed, policies, 100);
        let (policy, _) = compiled(&world);
        let drawn: Vec<_> = (0..50).map(|_| random_call(&world, &mut seed)).collect();
        let calls: Vec<_> = drawn.iter().map(|drawn| drawn.call(&policy)).collect();
        for call in &calls {
            assert_eq!(policy.decide(call), policy.decide_plain(call), "{policies} policies, {call:?}");
        }
        if cfg!(debug_assertions) {
            continue;
        }
        let indexed = cost(&calls, 1_000, |call| policy.decide(call));
        let plain = cost(&calls, 20, |call| policy.decide_plain(call));
        println!(
            "{policies} policies: {indexed:.2} µs indexed, {plain:.0} µs plain, largest {}",
            policy.engine.largest()
        );
    }
}

/// Many actions; optimised, as many as a large public contract has, and it prints what loading costs here.
#[test]
fn many_actions_load() {
    let (policies, operations) = if cfg!(debug_assertions) { (5, 300) } else { (50, 1_000) };
    let world = World::sized(&mut Seed::new(12), policies, operations);
    let source = Source { name: "large.cedar".into(), text: world.text.clone() };
    let start = Instant::now();
    let (_, loaded) = Policy::load_with_roles(&[source], &world.actions, &world.compiled_roles()).unwrap();
    println!("{policies} policies, {} actions: {:?} to load", world.actions.len(), start.elapsed());
    assert_eq!(loaded.policies, policies);
}

/// Microseconds a call, in the best of `rounds`: the machine is shared.
fn cost(calls: &[Call<'_>], rounds: u32, decide: impl Fn(&Call<'_>) -> Verdict) -> f64 {
    let round = || {
        let start = Instant::now();
        for call in calls {
            std::hint::black_box(decide(call));
        }
        start.elapsed()
    };
    (0..rounds).map(|_| round()).min().unwrap().as_secs_f64() * 1e6 / 50.0
}

/// What is said of each policy, one by one, adds up to the decision; and the matrix promises nothing that is refused.
#[test]
fn explanations_and_the_matrix_agree_with_decisions() {
    let (mut allowed, mut denied, mut certain) = (0, 0, 0);
    for number in 0..40 {
        let mut seed = Seed::new(5_000 + number);
        let world = World::random(&mut seed, false);
        let (policy, _) = compiled(&world);
        let matrix = policy.matrix();
        for _ in 0..40 {
            let drawn = random_call(&world, &mut seed);
            let call = drawn.call(&policy);
            let explained = policy.explain(&call, Unknowns::default(), None);
            let verdict = policy.decide(&call);
            assert_eq!(explained.verdict, verdict);
            let applying = |forbids: bool| -> Vec<SmolStr> {
                let all = explained.considered.iter().filter(|one| one.applies() && one.forbids == forbids);
                all.map(|one| one.policy.clone()).collect()
            };
            let (permits, forbids) = (applying(false), applying(true));
            match &verdict {
                Verdict::Allow { policies } => {
                    assert_eq!((policies, forbids.len()), (&permits, 0), "{drawn:?}")
                }
                Verdict::Deny { policies } => assert_eq!(policies, &forbids, "{drawn:?}"),
                Verdict::Indeterminate { .. } => panic!("{verdict:?} {drawn:?}"),
            }
            allowed += usize::from(matches!(verdict, Verdict::Allow { .. }));
            denied += usize::from(matches!(verdict, Verdict::Deny { .. }));
            // Policies may also name one principal, whom the matrix does not know: so only what it says is sure counts.
            let name = format!("{}.{}", drawn.api, drawn.operation);
            let column = matrix.actions.iter().position(|action| *action == name).unwrap();
            let rows = matrix.rows.iter().filter(|row| match &drawn.principal {
                Principal::Anonymous => row.who == "anonymous",
                Principal::Identity(_) => row.who == "any token" || explained.roles.contains(&row.who),
            });
            for cell in rows.map(|row| &row.cells[column]) {
                let is_never = cell.answer == Answer::Never;
                assert!(!is_never || matches!(verdict, Verdict::Deny { .. }), "{cell:?} {verdict:?}");
                let is_known = matches!(&verdict, Verdict::Allow { policies } if policies.iter().any(|one| cell.policies.contains(one)));
                certain += usize::from(is_never);
                if cell.answer == Answer::Yes && forbids.is_empty() {
                    assert!(is_known, "{cell:?} {verdict:?}");
                    certain += 1;
                }
            }
        }
    }
    assert!(allowed > 100 && denied > 100 && certain > 50, "{allowed} {denied} {certain}");
}

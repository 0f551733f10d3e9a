//! Worlds of policies, and calls, that a seed decides.

use std::fmt::Write;

use serde_json::json;

use super::*;
use crate::roles::{Book, Holder, Mark, Role, Sign};

/// A small generator of numbers (xorshift64*): the same everywhere, so that a failing world can be named.
#[derive(Debug, Clone)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new(number: u64) -> Self {
        let mut seed = Self(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            seed.below(2);
        }
        seed
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<'p>(&mut self, choices: &[&'p str]) -> &'p str {
        choices[self.below(choices.len())]
    }
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) text: String,
    pub(super) policies: usize,
    pub(super) actions: Vec<ActionSpec>,
    pub(super) roles: Roles,
}

const ROLES: usize = 12;
const APIS: [&str; 3] = ["a0", "a1", "a2"];

impl World {
    pub(super) fn random(seed: &mut Seed, with_errors: bool) -> Self {
        let (policies, operations) = (3 + seed.below(38), 2 + seed.below(6));
        Self::new(seed, policies, operations, with_errors, false)
    }

    /// As an operator would write them: three in four for a role, conditions on most.
    pub(super) fn sized(seed: &mut Seed, policies: usize, operations: usize) -> Self {
        Self::new(seed, policies, operations / APIS.len(), false, true)
    }

    pub(super) fn compiled_roles(&self) -> CompiledRoles {
        CompiledRoles { roles: self.roles.clone(), policies: Vec::new() }
    }

    fn new(seed: &mut Seed, policies: usize, operations: usize, with_errors: bool, is_kind: bool) -> Self {
        let mut actions: Vec<ActionSpec> =
            APIS.iter().flat_map(|api| (0..operations).map(move |number| rest(api, number))).collect();
        actions.push(ActionSpec {
            api: "m0".into(),
            operation: "chat".into(),
            reads: false,
            kind: ActionKind::Model,
        });
        let mut text = String::new();
        for number in 0..policies {
            let effect = if seed.percent(if is_kind { 15 } else { 25 }) { "forbid" } else { "permit" };
            let _ = writeln!(
                text,
                "@id(\"p{number}\") {}",
                policy(seed, effect, operations, with_errors, is_kind)
            );
        }
        let names: Vec<String> = (0..ROLES).map(|role| format!("r{role}")).collect();
        let direct = (1..ROLES).map(|role| {
            // Half of the roles inherit a third of their own number, some of them another one too.
            let mut parents = Vec::new();
            if role % 2 == 0 {
                parents.push(&*names[role / 3]);
            }
            if role % 5 == 0 {
                parents.push(&*names[role - 3]);
            }
            (&*names[role], parents)
        });
        let roles = Roles::new(direct.collect::<Vec<_>>()).unwrap();
        let roles = if seed.percent(50) { roles.held_as(Arc::new(book(seed, &names))) } else { roles };
        Self { text, policies, actions, roles }
    }
}

/// Who has which role, by signs that the drawn identities show now and then.
fn book(seed: &mut Seed, names: &[String]) -> Book {
    let mut holder = || {
        let number = seed.below(ROLES);
        let sign = match seed.below(5) {
            0 => Sign::Scope(format!("s{}", number % 5).into()),
            1 => Sign::Subject(format!("u{}", number % 5).into()),
            2 => Sign::Claim("tenant".into(), format!("t{}", number % 2).into()),
            _ => Sign::Group(format!("r{number}").into()),
        };
        let issuer = seed.percent(30).then(|| "partner".into());
        Holder { mark: Mark::default(), issuer, sign }
    };
    let role =
        |name: &String| Role { name: name.into(), holders: vec![holder(), holder()], ..Role::default() };
    Book { roles: names.iter().map(role).collect() }
}

fn rest(api: &str, number: usize) -> ActionSpec {
    ActionSpec {
        api: api.into(),
        operation: format!("op{number}").into(),
        reads: number.is_multiple_of(2),
        kind: ActionKind::Rest { path: vec!["id".into()], query: vec!["page".into(), "user-id".into()] },
    }
}

pub(super) fn forbid(seed: &mut Seed) -> String {
    format!("@id(\"added\") {}", policy(seed, "forbid", 4, true, false))
}

fn policy(seed: &mut Seed, effect: &str, operations: usize, with_errors: bool, is_kind: bool) -> String {
    let role = seed.below(ROLES);
    let user = seed.below(4);
    // Strictly checked policies may only read what every principal of their scope has.
    let (principal, is_user) = match seed.below(if is_kind { 75 } else { 100 }) {
        0..=54 => (format!("principal in Role::\"r{role}\""), true),
        55..=64 => (format!("principal is User in Role::\"r{role}\""), true),
        65..=69 => ("principal is User".into(), true),
        70..=74 => (format!("principal == User::\"corp/u{user}\""), true),
        75..=79 => (format!("principal in User::\"corp/u{user}\""), true),
        80..=83 => ("principal is Anonymous".into(), false),
        84..=85 if with_errors => (format!("principal is Anonymous in Role::\"r{role}\""), false),
        86 if with_errors => (format!("principal == Role::\"r{role}\""), false),
        86..=87 => ("principal == Anonymous::\"anonymous\"".into(), false),
        _ => ("principal".into(), false),
    };
    let api = seed.pick(&APIS);
    let operation = seed.below(operations);
    let (action, is_rest, is_model) = match seed.below(if is_kind { 85 } else { 100 }) {
        0..=39 => (format!("action == Action::\"{api}.op{operation}\""), true, false),
        40..=59 => (format!("action in Action::\"{api}.{}\"", seed.pick(&["read", "write"])), true, false),
        60..=71 => (format!("action in Action::\"{api}\""), true, false),
        72..=79 => {
            let other = seed.pick(&APIS);
            (format!("action in [Action::\"{api}.op{operation}\", Action::\"{other}.read\"]"), true, false)
        }
        80..=84 => ("action in Action::\"m0\"".into(), false, true),
        85..=89 => ("action == Action::\"m0.chat\"".into(), false, true),
        _ => ("action".into(), false, false),
    };
    let own = if is_model { "Model::\"m0\"".to_owned() } else { format!("Api::\"{api}\"") };
    let resource = match seed.below(100) {
        0..=74 => "resource".to_owned(),
        75..=79 => format!("resource == {own}"),
        80..=84 => format!("resource in {own}"),
        85..=87 if with_errors => "resource == Api::\"a1\"".to_owned(),
        88..=92 if with_errors => format!("resource is Api in {own}"),
        93..=95 if with_errors => "resource is Model".to_owned(),
        _ => format!("resource is {}", if is_model { "Model" } else { "Api" }),
    };
    let shape = Shape { is_user, is_rest, is_model, with_errors };
    let mut one = || condition(seed, shape);
    let conditions = match effect.len() + one().len() % 7 {
        6 | 8 => String::new(),
        7 => format!(" when {{ {} && {} }}", one(), one()),
        9 => format!(" unless {{ {} || {} }}", one(), one()),
        10 => format!(" when {{ {} }} unless {{ {} }}", one(), one()),
        _ => format!(" when {{ {} }}", one()),
    };
    format!("{effect}({principal}, {action}, {resource}){conditions};")
}

#[derive(Clone, Copy)]
struct Shape {
    is_user: bool,
    is_rest: bool,
    is_model: bool,
    with_errors: bool,
}

fn condition(seed: &mut Seed, shape: Shape) -> String {
    loop {
        let drawn = match seed.below(if shape.with_errors { 10 } else { 7 }) {
            0..=1 if shape.is_user || shape.with_errors => of_principal(seed),
            2..=3 if shape.is_rest || shape.with_errors => of_rest(seed),
            4 if shape.is_model || shape.with_errors => {
                seed.pick(&["context.model like \"gpt-*\"", "context.stream", "!context.tools"]).to_owned()
            }
            5..=6 => of_connection(seed),
            7 => of_hierarchy(seed),
            8..=9 => in_error(seed),
            _ => continue,
        };
        return format!("({drawn})");
    }
}

fn of_principal(seed: &mut Seed) -> String {
    let number = seed.below(5);
    match seed.below(8) {
        0 => format!("principal.scopes.contains(\"s{number}\")"),
        1 => format!("principal.scopes.containsAny([\"s{number}\", \"s1\"])"),
        2 if number > 2 => format!("principal.scopes.containsAll([\"s{number}\", \"s1\"])"),
        2 => format!("principal.roles.contains(\"r{number}\")"),
        3 => format!("principal.subject == \"u{number}\""),
        4 => "principal has tenant && principal.tenant == \"t1\"".into(),
        5 if number > 2 => "if principal has tenant then principal.tenant == \"t0\" else context.tls".into(),
        5 => "principal has email_verified && principal.email_verified".into(),
        6 => "principal.issuer == \"corp\" || principal has client".into(),
        _ => "principal.scopes.isEmpty()".into(),
    }
}

fn of_rest(seed: &mut Seed) -> String {
    let number = seed.below(4);
    match seed.below(7) {
        0 | 1 => format!("context.path.id == \"o{number}\""),
        2 => "context.path.id like \"*1\"".into(),
        3 => format!("context.query has page && context.query.page == \"{number}\""),
        4 => "context has query.page".into(),
        5 => format!("context.query has \"user-id\" && context.query[\"user-id\"] == \"u{number}\""),
        _ => "!(context.query has page)".into(),
    }
}

fn of_connection(seed: &mut Seed) -> String {
    let number = seed.below(4);
    match seed.below(6) {
        0 => "context.tls".into(),
        1 => format!("context.time < {}", 100 + number),
        2 => format!("context.time == {} || !context.tls", 100 + number),
        3 => format!("context.address.isInRange(ip(\"10.{number}.0.0/16\"))"),
        4 => "context.address.isIpv6()".into(),
        _ => "context.address == ip(\"192.0.2.1\") || context.time + 1 > 102".into(),
    }
}

fn of_hierarchy(seed: &mut Seed) -> String {
    let (one, other) = (seed.below(ROLES), seed.below(ROLES));
    match seed.below(10) {
        0 => format!("principal in Role::\"r{one}\""),
        1 => format!("principal in [Role::\"r{one}\", User::\"corp/u1\"]"),
        2 => "action in Action::\"a0.read\"".into(),
        3 => "action in [Action::\"a1\", Action::\"m0.write\"]".into(),
        4 => "resource == Api::\"a0\" || resource is Model".into(),
        5 => format!("Role::\"r{one}\" in Role::\"r{other}\""),
        6 => "Action::\"a0.op1\" in Action::\"a0\" && Action::\"a0.read\" in Action::\"a0\"".into(),
        7 => "Action::\"a0.op1\" in Action::\"a0.read\" || Role::\"r10\" in Role::\"r2\"".into(),
        8 => "principal is User && resource in Api::\"a2\"".into(),
        _ => "principal == User::\"corp/u1\" || principal is Anonymous".into(),
    }
}

/// What the strict check would refuse, or what errs on some calls.
fn in_error(seed: &mut Seed) -> String {
    seed.pick(&[
        "principal.tenant == \"t1\"",
        "principal.nothing == 1",
        "context has query",
        "context has stream || context has nothing",
        "context has model && !(context has path)",
        "context has address && context.tls",
        "context.query has page || context.model like \"gpt*\"",
        "resource.owner == principal.subject",
        "resource has owner",
        "context.nothing",
        "context.query.page == \"1\"",
        "context.path.other == \"1\"",
        "context.time * 9223372036854775807 > 5",
        "context.time - 9223372036854775807 < 0 || context.time + 9223372036854775800 > 1",
        "context.time < \"x\"",
        "context.time",
        "context.tls && context.time",
        "context.tls || context.time",
        "if context.tls then context.time > 101 else principal.nothing",
        "context.address.isInRange(ip(\"10.0.0.0/33\"))",
        "ip(context.path.id).isIpv4()",
        "decimal(\"1.5\").lessThan(decimal(\"2.0\"))",
        "principal.scopes.containsAll([1, \"s1\"])",
        "context.path == {id: \"o1\"}",
        "context == {tls: true}",
        "{whole: context}.whole.tls",
        "principal in context.path",
        "principal.subject in Role::\"r1\"",
        "principal[\"tenant\"] like \"t*\"",
        "User::\"corp/u1\".subject == \"u1\"",
        "User::\"corp/u1\" has tenant",
        "Anonymous::\"anonymous\" has subject || Role::\"r1\" has name",
        "principal.email_verified == principal.roles",
    ])
    .to_owned()
}

/// A call with all that it borrows from.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) principal: Principal,
    pub(super) api: SmolStr,
    pub(super) operation: SmolStr,
    pub(super) address: IpAddr,
    pub(super) is_tls: bool,
    pub(super) now: i64,
    pub(super) path: Vec<(Box<str>, Box<str>)>,
    pub(super) query: Option<String>,
    pub(super) is_model: bool,
}

impl Drawn {
    pub(super) fn call(&self, policy: &Policy) -> Call<'_> {
        let facts = if self.is_model {
            Facts::Model { model: "gpt-5", stream: self.is_tls, tools: self.now > 101 }
        } else {
            Facts::Rest { path: &self.path, query: self.query.as_deref() }
        };
        Call {
            principal: &self.principal,
            action: policy.action(&self.api, &self.operation).unwrap(),
            address: self.address,
            is_tls: self.is_tls,
            now: self.now,
            facts,
        }
    }
}

pub(super) fn identity(seed: &mut Seed) -> Identity {
    let mut claims = serde_json::Map::new();
    if seed.percent(60) {
        claims.insert("tenant".into(), json!(seed.pick(&["t0", "t1"])));
    }
    if seed.percent(40) {
        claims.insert("email_verified".into(), json!(seed.percent(50)));
    }
    if seed.percent(20) {
        claims.insert(seed.pick(&["azp", "client_id", "email"]).into(), json!("someone"));
    }
    let strings = |seed: &mut Seed, letter: char, end: usize, most: usize| {
        (0..seed.below(most)).map(|_| format!("{letter}{}", seed.below(end)).into()).collect()
    };
    Identity {
        issuer: seed.pick(&["corp", "corp", "partner"]).into(),
        subject: format!("u{}", seed.below(5)).into(),
        claims,
        scopes: strings(seed, 's', 5, 4),
        roles: strings(seed, 'r', ROLES, 5),
        expires: 0,
        not_before: None,
        token_id: None,
    }
}

pub(super) fn random_call(world: &World, seed: &mut Seed) -> Drawn {
    let principal =
        if seed.percent(15) { Principal::Anonymous } else { Principal::Identity(Arc::new(identity(seed))) };
    let spec = &world.actions[seed.below(world.actions.len())];
    let address = match seed.below(10) {
        0..=6 => format!("10.{}.{}.7", seed.below(4), seed.below(200)),
        7 => "192.0.2.1".into(),
        8 => "::ffff:10.1.0.1".into(),
        _ => "2001:db8::7".into(),
    };
    let query = ["", "page=1", "page=2&user%2Did=u1", "user-id=u2&other=1&other=2", "%70age=3"];
    Drawn {
        principal,
        api: spec.api.clone(),
        operation: spec.operation.clone(),
        address: address.parse().unwrap(),
        is_tls: seed.percent(70),
        now: 99 + i64::try_from(seed.below(6)).unwrap(),
        path: vec![("id".into(), format!("o{}", seed.below(5)).into())],
        query: seed.percent(60).then(|| seed.pick(&query).to_owned()),
        is_model: spec.kind == ActionKind::Model,
    }
}

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::identify::Identity;

const NOW: i64 = 1_000;

fn caller(subject: &str) -> Principal {
    let Value::Object(claims) = json!({ "tenant": "north", "number": 7 }) else { panic!("an object") };
    Principal::Identity(Arc::new(Identity {
        issuer: "corp".into(),
        subject: subject.into(),
        claims,
        scopes: vec!["orders:all".into()],
        roles: vec!["clerk".into()],
        expires: 0,
        not_before: None,
        token_id: None,
    }))
}

fn bound(owner: Owner, places: Vec<Place>) -> OperationRules {
    let bound = Bound {
        parameter: "orderId".into(),
        places,
        is_declared: true,
        owner,
        equals: "sub".into(),
        unless: Vec::new(),
    };
    OperationRules { bound: vec![bound], ..OperationRules::default() }
}

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

/// Judges a request of Ann's: `Ok` with what is owed, or the refusal's text.
fn judge(
    rules: &OperationRules,
    headers: &[(&str, &str)],
    query: &str,
    body: &str,
) -> Result<Vec<Owed>, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let path: Vec<(Box<str>, Box<str>)> = vec![("orderId".into(), "o-1".into())];
    let query = (!query.is_empty()).then_some(query);
    let sent = Sent { path: &path, query, headers: &map, body: body.as_bytes() };
    let judged = rules.judge(&caller("ann"), &sent, NOW).map_err(|error| error.to_string())?;
    Ok(judged.map_or_else(Vec::new, |obligations| obligations.owed))
}

#[test]
fn wherever_an_object_is_named_it_is_the_same() {
    let all = vec![
        Place::Path("orderId".into()),
        Place::Query("orderId".into()),
        Place::Header("x-order-id".parse().unwrap()),
        Place::Cookie("order".into()),
        Place::Body(Pointer::member("orderId")),
    ];
    let answer = || Owner::Answer { owner: pointer("/owner"), probe: None };
    let rules = bound(answer(), all.clone());
    let owed = vec![Owed { bound: 0, identifier: "o-1".into(), owner: "ann".into() }];
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let check = |headers: &[(&str, &str)], query: &str, body: &str, expected: Result<(), &str>| {
        let judged = judge(&rules, headers, query, body);
        match expected {
            Ok(()) => assert_eq!(judged, Ok(owed.clone()), "{headers:?} {query} {body}"),
            Err(part) => {
                assert!(judged.clone().unwrap_err().contains(part), "{headers:?} {query} {body}: {judged:?}")
            }
        }
    };
    let (twice, unclear) = (Err("twice, and differently"), |place| Err(place));
    check(&[], "", "", Ok(()));
    check(
        &[("x-order-id", "o-1"), ("cookie", "a=b; order=\"o-1\""), json],
        "orderId=o-1",
        r#"{"orderId":"o-1"}"#,
        Ok(()),
    );
    check(&[], "orderId=o-2", "", twice);
    check(&[("x-order-id", "o-2")], "", "", twice);
    check(&[("x-order-id", "o-1, o-2")], "", "", twice);
    check(&[("cookie", "order=o-1; order=o-2")], "", "", twice);
    check(&[json], "", r#"{"orderId":"o-2"}"#, twice);
    check(&[json], "", r#"{"orderId":1}"#, twice);
    check(&[json], "", r#"{"x":{"orderId":"o-2"}}"#, Ok(()));
    check(&[json], "", r#"{"orderId":null}"#, unclear("the body has more than one reading"));
    check(&[json], "", r#"{"OrderId":"o-1"}"#, unclear("the body has more than one reading"));
    check(&[json], "", "orderId=o-2", unclear("the body has more than one reading"));
    check(&[form], "", "a=b&order%49d=o-1", Ok(()));
    check(&[form], "", "a=b&orderId=o-1&orderId[]=o-2", twice);
    check(&[], "orderId=o%FF", "", unclear("the query has more than one reading"));
    // The same without an owner: places that agree.
    let agreement = Agreement { name: "orderId".into(), places: all };
    let rules = OperationRules { agreements: vec![agreement], ..OperationRules::default() };
    assert_eq!(judge(&rules, &[], "orderId=o-1", ""), Ok(vec![]));
    assert!(judge(&rules, &[], "orderId=o-2", "").is_err());
}

#[test]
fn a_body_names_the_caller() {
    let rules = bound(Owner::Body(pointer("/from/id")), vec![Place::Path("orderId".into())]);
    assert_eq!(judge(&rules, &[], "", r#"{"from":{"id":"ann"}}"#), Ok(vec![]));
    for body in [
        "",
        "{}",
        r#"{"from":{"id":"bob"}}"#,
        r#"{"from":{"id":"ann","id":"bob"}}"#,
        r#"{"from":{"ID":"ann"}}"#,
        "ann",
    ] {
        assert!(judge(&rules, &[], "", body).is_err(), "{body}");
    }
}

#[test]
fn who_is_not_bound_still_names_one_object() {
    let places = vec![Place::Path("orderId".into()), Place::Query("orderId".into())];
    for (who, is_bound) in
        [("role:clerk", false), ("scope:orders:all", false), ("claim:number=7", false), ("role:boss", true)]
    {
        let mut rules = bound(Owner::Named, places.clone());
        rules.bound[0].unless = vec![Who::parse(who).unwrap()];
        assert_eq!(judge(&rules, &[], "", "").is_err(), is_bound, "{who}");
        assert!(judge(&rules, &[], "orderId=o-2", "").is_err(), "{who}");
    }
}

#[test]
fn words_for_callers() {
    for text in ["anyone", "role:clerk", "scope:a:b", "claim:a.b=c=d"] {
        assert_eq!(Who::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "everyone", "role:", "scope:", "claim:a", "claim:=x", "claim:a=", "Role:clerk"] {
        assert_eq!(Who::parse(text), None, "{text}");
    }
    let names = |text: &str, principal: &Principal| Who::parse(text).unwrap().names(principal);
    let ann = caller("ann");
    for (text, expected) in [
        ("anyone", true),
        ("role:clerk", true),
        ("role:Clerk", false),
        ("claim:tenant=north", true),
        ("claim:tenant=nort", false),
        ("claim:sub=ann", true),
        ("claim:none=x", false),
    ] {
        assert_eq!(names(text, &ann), expected, "{text}");
        assert_eq!(names(text, &Principal::Anonymous), text == "anyone", "{text}");
    }
}

fn element() -> impl Strategy<Value = String> {
    let owner = prop_oneof![Just("ann"), Just("bob"), Just("ann\\u0020"), Just("a\\u006en")];
    prop_oneof![
        4 => (owner, 0..9).prop_map(|(owner, n)| format!("{{ \"n\":{n}, \"owner\": \"{owner}\"}}")),
        1 => Just("{}".to_owned()),
        1 => Just("null".to_owned()),
        1 => Just("\"ann\"".to_owned()),
        1 => Just("[{\"owner\":\"ann\"}]".to_owned()),
        1 => Just("{\"owner\":{\"owner\":\"ann\"}}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn of_a_list_exactly_ones_own_is_left(elements in prop::collection::vec(element(), 0..8), gap in "[ \n]{0,2}") {
        let body = format!("{{\"a\":[1],{gap}\"list\":{gap}[{gap}{}{gap}]{gap},\"z\":\"\"}}", elements.join(&format!("{gap},{gap}")));
        let rule = ListRule {
            items: pointer("/list"),
            owner: pointer("/owner"),
            equals: "sub".into(),
            refuses: false,
            unless: Vec::new(),
        };
        let (left, foreign) = rule.keep(body.as_bytes(), "ann").unwrap();
        let mut slow: Value = serde_json::from_str(&body).unwrap();
        let list = slow["list"].as_array_mut().unwrap();
        list.retain(|one| one.get("owner").and_then(Value::as_str) == Some("ann"));
        let expected = elements.len() - list.len();
        prop_assert_eq!(usize::try_from(foreign).unwrap(), expected);
        prop_assert_eq!(left.is_some(), expected > 0);
        let left = left.unwrap_or_else(|| body.into_bytes());
        prop_assert_eq!(serde_json::from_slice::<Value>(&left).unwrap(), slow);
    }

    #[test]
    fn no_bytes_are_an_answer_of_ones_own_unless_they_say_so(at in 0..48_usize, byte in any::<u8>(), cut in 0..60_usize) {
        let mut bytes = br#"{"n":[1,{"owner":"bob"}],"owner":"ann","m":"text"}"#.to_vec();
        bytes[at] = byte;
        bytes.truncate(cut);
        let rules = bound(Owner::Answer { owner: pointer("/owner"), probe: None }, vec![]);
        let owed = Owed { bound: 0, identifier: "o-1".into(), owner: "ann".into() };
        let obligations = Obligations { owed: vec![owed], ..Obligations::default() };
        let judged = rules.judge_answer(&obligations, StatusCode::OK, &bytes);
        let said = serde_json::from_slice::<Value>(&bytes).ok();
        let is_own = said.is_some_and(|said| said["owner"] == "ann");
        prop_assert_eq!(judged.is_ok(), is_own, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn what_was_waived_for_a_while_is_closed_when_that_is_over() {
    let waived = |until| Waived { parameter: "orderId".into(), until };
    for (ends, is_closed) in
        [(vec![NOW + 1], false), (vec![NOW], true), (vec![NOW - 1], true), (vec![i64::MAX, NOW], true)]
    {
        let rules =
            OperationRules { waived: ends.into_iter().map(waived).collect(), ..OperationRules::default() };
        assert!(!rules.is_empty());
        let judged = judge(&rules, &[], "", "");
        let message = rules.judge_message(&caller("ann"), &[], NOW);
        assert_eq!((judged.is_err(), message.is_err()), (is_closed, is_closed));
        if let Err(text) = judged {
            assert!(text.contains("`orderId`: its waiver has ended"), "{text}");
        }
    }
}

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn verdict(text: &[u8]) -> Result<(), JsonFault> {
    check(text, &JsonLimits::default()).map_err(|error| error.cause)
}

#[test]
fn what_has_one_reading_passes() {
    let good = [
        "0",
        "-0",
        "1.5e10",
        "\"\"",
        "null",
        " true ",
        "[]",
        "{}",
        "[1,[2,{\"a\":[]}]]",
        "{\"a\":1,\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":2}]}",
        "\"\\ud83d\\ude00\"",
        "\"\\u0000\"",
        "\"\u{7f}\"",
        "1e-999",
        "0e999",
        "\n{\r\t\"a\" : 1 }\n",
        "{\"\":1}",
    ];
    for text in good {
        assert_eq!(verdict(text.as_bytes()), Ok(()), "{text}");
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }
}

#[test]
fn what_has_no_reading_or_two_is_refused() {
    use JsonFault::*;
    let bad: &[(&[u8], JsonFault)] = &[
        (b"", End),
        (b"  ", End),
        (b"{", End),
        (b"[1", End),
        (b"[1,", End),
        (b"[1,]", Unexpected),
        (b"{\"a\":1,}", Unexpected),
        (b"{\"a\"}", Unexpected),
        (b"{a:1}", Unexpected),
        (b"[1}", Unexpected),
        (b"{\"a\":1]", Unexpected),
        (b"{} {}", Trailing),
        (b"1 2", Trailing),
        (b"01", Trailing),
        (b"+1", Unexpected),
        (b".5", Unexpected),
        (b"1.", End),
        (b"-", End),
        (b"1e", End),
        (b"[1e+]", Unexpected),
        (b"1e400", NumberRange),
        (b"-1e400", NumberRange),
        (b"NaN", Unexpected),
        (b"tru", End),
        (b"nul1", Unexpected),
        (b"{\"a\":1,\"a\":2}", DuplicateKey),
        (b"{\"a\":1,\"\\u0061\":2}", DuplicateKey),
        (b"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", DuplicateKey),
        (b"{\"b\":{\"x\":1,\"y\":{},\"x\":1}}", DuplicateKey),
        (b"[{\"a\":{\"k\":1},\"a\":1}]", DuplicateKey),
        (b"{\"\":1,\"\":2}", DuplicateKey),
        (b"{\"$serde_json::private::RawValue\":\"{}\"}", ReservedKey),
        (b"{\"\\u0024serde_json::private::RawValue\":\"{}\"}", ReservedKey),
        (b"\"\\ud800\"", LoneSurrogate),
        (b"\"\\udc00\"", LoneSurrogate),
        (b"\"\\ud800\\u0041\"", LoneSurrogate),
        (b"\"\\ud800\\ud800\"", LoneSurrogate),
        (b"\"\\x\"", Escape),
        (b"\"\\u12g4\"", Escape),
        (b"\"\\u12", End),
        (b"\"a\nb\"", Control),
        (b"\"\0\"", Control),
        (b"\"abc", End),
        (b"\"\xff\"", Utf8),
        (b"\"\xed\xa0\x80\"", Utf8),
        (b"\xef\xbb\xbf{}", Unexpected),
        (b"'a'", Unexpected),
        (b"// c\n1", Unexpected),
    ];
    for (text, fault) in bad {
        assert_eq!(verdict(text), Err(*fault), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn limits_are_kept_to_the_byte() {
    let limits = JsonLimits { depth: 3, number: 4, size: 20 };
    let cases: &[(&str, Option<JsonFault>)] = &[
        ("[[[1]]]", None),
        ("[[[[1]]]]", Some(JsonFault::TooDeep)),
        ("{\"a\":{\"b\":[[]]}}", Some(JsonFault::TooDeep)),
        ("[[[]],[[]],[[]]]", None),
        ("1234", None),
        ("12345", Some(JsonFault::LongNumber)),
        ("-1.23", Some(JsonFault::LongNumber)),
        ("\"123456789012345678\"", None),
        ("\"1234567890123456789\"", Some(JsonFault::TooLong)),
    ];
    for (text, fault) in cases {
        assert_eq!(check(text.as_bytes(), &limits).err().map(|error| error.cause), *fault, "{text}");
    }
}

#[test]
fn the_offset_points_at_the_fault() {
    let offset = |text: &str| check(text.as_bytes(), &JsonLimits::default()).err().map(|error| error.offset);
    assert_eq!(offset("{\"a\":1,\"a\":2}"), Some(7));
    assert_eq!(offset("[1,x]"), Some(3));
    assert_eq!(offset("[1] 2"), Some(4));
}

#[test]
fn many_keys_are_told_apart_in_time_and_correctly() {
    let keys = |count: usize| (0..count).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
    for count in [1, 15, 16, 17, 18, 40, 50_000] {
        let good = format!("{{{}}}", keys(count));
        assert_eq!(verdict(good.as_bytes()), Ok(()), "{count}");
        for again in [0, count / 2, count - 1] {
            let bad = format!("{{{},\"k{again}\":0}}", keys(count));
            assert_eq!(verdict(bad.as_bytes()), Err(JsonFault::DuplicateKey), "{count} {again}");
        }
    }
}

#[test]
fn an_inner_object_does_not_forget_or_inherit_keys() {
    let many =
        (0..30).map(|n| format!("\"k{n}\":{{\"k0\":1,\"k1\":[{{\"k0\":1}}]}}")).collect::<Vec<_>>().join(",");
    assert_eq!(verdict(format!("{{{many}}}").as_bytes()), Ok(()));
    assert_eq!(verdict(format!("{{{many},\"k3\":1}}").as_bytes()), Err(JsonFault::DuplicateKey));
}

fn any_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        "\"[a-z\\\\\"\\x00-\\x20\u{e9}u0-9]{0,8}\"",
    ];
    scalar.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[a-c]{1}", inner), 0..4).prop_map(|items| {
                let members: Vec<_> = items.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Whether two values are the same, doubles to the accuracy that `serde_json` promises.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a - b).abs() <= a.abs() * 1e-14
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn numbers_are_kept_as_the_parser_keeps_them() {
    for text in [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "-1",
        "1.0",
        "1e2",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
        "-1.5e-7",
        "1e-400",
        "123456789012345678901234567890",
    ] {
        let expected: Value = serde_json::from_str(text).unwrap();
        let found = parse(text.as_bytes(), &JsonLimits::default()).unwrap();
        assert!(same(&found, &expected), "{text}: {found} {expected}");
        assert_eq!(found.is_f64(), expected.is_f64(), "{text}");
        assert_eq!(
            found.as_f64().map(f64::is_sign_negative),
            expected.as_f64().map(f64::is_sign_negative),
            "{text}"
        );
    }
}

#[test]
fn what_is_parsed_is_what_was_checked() {
    let text = r#" {"a":[1,{},[],"x\u00e9\ud83d\ude00",true,false,null,{"b":{"c":[[2]]}}],"":-1.5e3} "#;
    let expected: Value = serde_json::from_str(text).unwrap();
    assert_eq!(parse(text.as_bytes(), &JsonLimits::default()), Ok(expected));
    let twice = parse(br#"{"a":{"b":1,"b":2}}"#, &JsonLimits::default());
    assert_eq!(twice, Err(JsonError { cause: JsonFault::DuplicateKey, offset: 12 }));
}

/// How many members the text has, counted by a reader that keeps duplicates.
fn has_duplicate(text: &str) -> bool {
    struct Seen(bool);
    impl<'de> serde::Deserialize<'de> for Seen {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Look)
        }
    }
    struct Look;
    impl<'de> serde::de::Visitor<'de> for Look {
        type Value = Seen;
        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("json")
        }
        fn visit_unit<E>(self) -> Result<Seen, E> {
            Ok(Seen(false))
        }
        fn visit_bool<E>(self, _: bool) -> Result<Seen, E> {
            Ok(Seen(false))
        }
        fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
            Ok(Seen(false))
        }
        fn visit_u64<E>(self, _: u64) -> Result<Seen, E> {
            Ok(Seen(false))
        }
        fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
            Ok(Seen(false))
        }
        fn visit_str<E>(self, _: &str) -> Result<Seen, E> {
            Ok(Seen(false))
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut all: A) -> Result<Seen, A::Error> {
            let mut seen = false;
            while let Some(Seen(one)) = all.next_element()? {
                seen |= one;
            }
            Ok(Seen(seen))
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut all: A) -> Result<Seen, A::Error> {
            let (mut seen, mut keys) = (false, HashSet::new());
            while let Some((key, Seen(one))) = all.next_entry::<String, Seen>()? {
                seen |= one | !keys.insert(key);
            }
            Ok(Seen(seen))
        }
    }
    serde_json::from_str::<Seen>(text).is_ok_and(|seen| seen.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// On generated texts, broken at a random place or not, guard and parser agree, duplicates apart.
    #[test]
    fn guard_and_parser_agree(text in any_json(), cut in any::<prop::sample::Index>(), put in any::<Option<u8>>()) {
        let mut bytes = text.into_bytes();
        if let (Some(put), false) = (put, bytes.is_empty()) {
            let place = cut.index(bytes.len());
            bytes[place] = put;
        }
        let parsed = serde_json::from_slice::<Value>(&bytes);
        let limits = JsonLimits { number: usize::MAX, ..JsonLimits::default() };
        let built = parse(&bytes, &limits);
        prop_assert_eq!(built.as_ref().err().copied(), check(&bytes, &limits).err());
        if let (Ok(built), Ok(parsed)) = (&built, &parsed) {
            prop_assert!(same(built, parsed), "{built} {parsed}");
        }
        match check(&bytes, &JsonLimits { number: usize::MAX, ..JsonLimits::default() }) {
            Ok(()) => {
                prop_assert!(parsed.is_ok(), "{}", String::from_utf8_lossy(&bytes));
                prop_assert!(!has_duplicate(std::str::from_utf8(&bytes).unwrap()));
            }
            Err(JsonError { cause: JsonFault::DuplicateKey, .. }) => {
                prop_assert!(parsed.is_err() || has_duplicate(&String::from_utf8_lossy(&bytes)));
            }
            Err(error) => prop_assert!(parsed.is_err(), "{error}: {}", String::from_utf8_lossy(&bytes)),
        }
    }

    #[test]
    fn any_bytes_end_in_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if check(&bytes, &JsonLimits::default()).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn numbers_at_the_edge_of_a_double(mantissa in "[1-9]\\.[0-9]{1,20}", exponent in 300i32..310) {
        let text = format!("{mantissa}e{exponent}");
        prop_assert_eq!(verdict(text.as_bytes()).is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
    }
}

#[test]
fn the_suite_of_json_schema_passes_the_guard_and_is_built_as_parsed() {
    let mut text = String::new();
    let packed: &[u8] = include_bytes!("../../testdata/jsonschema/suite.json.gz");
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut text).unwrap();
    let limits = JsonLimits { number: 400, ..JsonLimits::default() };
    let built = parse(text.as_bytes(), &limits).unwrap();
    assert!(same(&built, &serde_json::from_str(&text).unwrap()));
}

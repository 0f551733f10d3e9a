use std::sync::LazyLock;

use super::*;

const NOTES: &[u8] = include_bytes!("../../../../examples/grpc/notes.pb");
const LEGACY: &[u8] = include_bytes!("../../testdata/legacy.pb");

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(NOTES).unwrap());
static OLD: LazyLock<Schema> = LazyLock::new(|| Schema::parse(LEGACY).unwrap());

fn method<'s>(schema: &'s Schema, name: &str) -> &'s Method {
    schema.methods().iter().find(|method| *method.name == *name).unwrap()
}

/// A field of bytes.
fn put(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

/// A field of a small number.
fn num(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// What is wrong with a request of `schema`: each place with what is said of it.
#[track_caller]
fn check_in(schema: &Schema, name: &str, message: &[u8], unknown: Unknown, expected: &[(&str, &str)]) {
    let checked = schema.check(method(schema, name).input, message, unknown, true);
    let found: Vec<(&str, &str)> =
        checked.violations.iter().map(|one| (one.at.as_str(), one.message.as_str())).collect();
    assert_eq!(found, expected, "{name} {message:x?}");
}

#[track_caller]
fn note(message: &[u8], expected: &[(&str, &str)]) {
    check_in(&SCHEMA, "Add", &put(2, message), Unknown::Refuse, expected);
}

#[test]
fn a_set_says_its_methods() {
    let ids: Vec<String> = SCHEMA.methods().iter().map(Method::id).collect();
    assert_eq!(
        ids,
        [
            "notes.v1.Notes.Read",
            "notes.v1.Notes.Add",
            "notes.v1.Notes.Watch",
            "notes.v1.Notes.Import",
            "notes.v1.Notes.Talk"
        ]
    );
    let kinds: Vec<_> =
        SCHEMA.methods().iter().map(|one| (one.streams_requests, one.streams_answers, one.reads)).collect();
    assert_eq!(
        kinds,
        [
            (false, false, true),
            (false, false, false),
            (false, true, true),
            (true, false, false),
            (true, true, false)
        ]
    );
    assert_eq!(SCHEMA.facts("notes.v1.Notes.Add"), ["user_id", "pinned"]);
    assert_eq!(SCHEMA.facts("notes.v1.Notes.Watch"), ["user_id", "color"]);
    assert!(SCHEMA.facts("notes.v1.Notes.Import").is_empty());
    let contract = Contract::compile(SCHEMA.document(false), &Default::default()).unwrap();
    let grpc = Grpc::new(SCHEMA.clone(), &contract);
    for operation in 0..5 {
        let operation = OperationIndex(operation);
        let id = contract.operation(operation).map(|one| one.id.to_string());
        assert_eq!(grpc.method(operation).map(Method::id), id);
    }
    assert!(grpc.method(OperationIndex(5)).is_none());
    assert!(grpc.has_path("/notes.v1.Notes/Anything"));
    assert!(!grpc.has_path("/notes.v1.NotesX/Read") && !grpc.has_path("/notes.v1.Notes"));
}

#[test]
fn what_is_no_descriptor_set_is_refused() {
    let check = |bytes: &[u8], expected: &str| {
        let fault = Schema::parse(bytes).unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
    };
    check(b"", "no service");
    check(b"syntax = \"proto3\";", "no descriptor set");
    check(&NOTES[..NOTES.len() / 2], "no descriptor set");
    check(&[NOTES, NOTES].concat(), "twice");
    // A file of an edition; a method whose request is in no file.
    let edition = put(1, [put(1, "e.proto"), put(12, "editions")].concat());
    check(&edition, "`e.proto` is written for an edition");
    let method = put(2, [put(1, "M"), put(2, ".x.Ask"), put(3, ".x.Ask")].concat());
    let file = put(1, [put(2, "x"), put(6, [put(1, "S"), method].concat())].concat());
    check(&file, "`x.Ask` is not in the descriptor set");
}

#[test]
fn messages_that_meet_their_descriptors_pass() {
    check_in(&SCHEMA, "Add", b"", Unknown::Refuse, &[]);
    note(&[put(1, "hällo"), num(2, 1), put(3, "a"), put(3, ""), put(3, "a")].concat(), &[]);
    note(&put(4, [put(1, "k"), put(2, "v")].concat()), &[]);
    note(&[put(4, put(1, "k")), put(4, put(1, "l")), put(4, "")].concat(), &[]);
    // Packed and not, negative numbers in ten bytes, and both kinds of one field.
    note(&put(7, b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &[]);
    note(&[num(7, 1), num(7, 2), put(7, b"\x03")].concat(), &[]);
    note(&[num(8, 3), vec![9 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f], put(10, b"\xff")].concat(), &[]);
    note(&put(6, [vec![1 << 3 | 5, 1, 0, 0, 0], num(2, 9)].concat()), &[]);
    note(&put(11, put(11, put(1, "deep"))), &[]);
    note(&put(12, num(1, 7)), &[]);
    check_in(
        &OLD,
        "Do",
        &[put(1, "x"), num(2, 1), vec![4 << 3 | 5, 1, 0, 0, 0]].concat(),
        Unknown::Refuse,
        &[],
    );
}

#[test]
fn what_does_not_meet_them_is_told_by_its_place() {
    note(&put(15, "x"), &[("/note/15", "is not in the contract")]);
    check_in(&SCHEMA, "Read", &num(9, 1), Unknown::Refuse, &[("/9", "is not in the contract")]);
    note(&put(11, num(14, 1)), &[("/note/parent/14", "is not in the contract")]);
    note(&put(1, b"\xff"), &[("/note/text", "is not UTF-8")]);
    note(&[put(3, "a"), put(3, b"\xc3")].concat(), &[("/note/tags/1", "is not UTF-8")]);
    note(&num(1, 1), &[("/note/text", "is not of its type")]);
    note(&put(2, "1"), &[("/note/color", "is not of its type")]);
    note(&num(2, 2), &[("/note/color", "is no value of its enumeration")]);
    note(b"\x10\x81\x80\x80\x80\x10", &[("/note/color", "is out of range")]);
    note(&put(7, b"\x80\x80\x80\x80\x10"), &[("/note/counts/0", "is out of range")]);
    note(&put(7, b"\x80"), &[("/note/counts/0", "ends within a field")]);
    check_in(&SCHEMA, "Add", &num(3, 2), Unknown::Refuse, &[("/pinned", "is out of range")]);
    // Two readings.
    note(&[put(1, "a"), put(1, "b")].concat(), &[("/note/text", "is sent twice")]);
    note(&[put(11, ""), put(11, "")].concat(), &[("/note/parent", "is sent twice")]);
    note(
        &[put(5, "a"), put(6, "")].concat(),
        &[("/note/point", "is sent beside another of which only one may be")],
    );
    note(
        &[put(4, put(1, "k")), put(4, put(1, "k"))].concat(),
        &[("/note/labels/1", "has a key that is sent twice")],
    );
    note(&[put(4, ""), put(4, put(1, ""))].concat(), &[("/note/labels/1", "has a key that is sent twice")]);
    note(&put(4, [put(1, "k"), put(1, "l")].concat()), &[("/note/labels/0/key", "is sent twice")]);
    // No reading.
    check_in(&SCHEMA, "Add", b"\x12\x05a", Unknown::Refuse, &[("", "ends within a field")]);
    note(b"\x0b\x0c", &[("/note", "has a field of a kind that is not read")]);
    // All of it at once.
    note(
        &[num(1, 1), put(15, "")].concat(),
        &[("/note/text", "is not of its type"), ("/note/15", "is not in the contract")],
    );
}

#[test]
fn proto2_has_required_fields_and_groups() {
    check_in(&OLD, "Do", b"", Unknown::Refuse, &[("/id", "is missing")]);
    check_in(
        &OLD,
        "Do",
        &[put(1, "x"), put(5, "")].concat(),
        Unknown::Refuse,
        &[("/nested/ok", "is missing")],
    );
    let group = [put(1, "x"), vec![3 << 3 | 3, 8, 1, 3 << 3 | 4]].concat();
    check_in(&OLD, "Do", &group, Unknown::Allow, &[("", "has a field of a kind that is not read")]);
    assert!(OLD.scalars(method(&OLD, "Do").input, b"").is_err());
}

#[test]
fn nesting_has_an_end() {
    let mut deep = Vec::new();
    for _ in 0..120 {
        let mut outer = vec![11 << 3 | 2];
        let mut length = deep.len();
        while length > 0x7f {
            outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        outer.push(u8::try_from(length).unwrap());
        outer.extend_from_slice(&deep);
        deep = outer;
    }
    let checked = SCHEMA.check(method(&SCHEMA, "Read").output, &deep, Unknown::Refuse, false);
    assert_eq!(checked.violations.len(), 1);
    assert_eq!(checked.violations[0].message, "is nested too deeply");
}

#[test]
fn what_is_unknown_passes_where_that_is_written() {
    let check = |message: &[u8], expected: &[(&str, &str)]| {
        check_in(&SCHEMA, "Add", &put(2, message), Unknown::Allow, expected);
    };
    check(&[put(15, "x"), num(2, 7)].concat(), &[]);
    check(&[put(1, "a"), put(1, "b")].concat(), &[("/note/text", "is sent twice")]);
    let sent = put(9, "hidden");
    let read = SCHEMA.check(method(&SCHEMA, "Add").input, &sent, Unknown::Allow, true);
    assert_eq!(read.texts, [("/9".to_owned(), "hidden")]);
}

#[test]
fn texts_are_found_wherever_they_stand() {
    let message =
        [put(1, "t"), put(3, "a"), put(4, [put(1, "k"), put(2, "v")].concat()), put(10, "b")].concat();
    let read = SCHEMA.check(method(&SCHEMA, "Read").output, &message, Unknown::Refuse, true);
    let texts: Vec<(&str, &str)> = read.texts.iter().map(|(at, text)| (at.as_str(), *text)).collect();
    assert_eq!(
        texts,
        [
            ("/text", "t"),
            ("/tags/0", "a"),
            ("/labels/0/key", "k"),
            ("/labels/0/value", "v"),
            ("/picture", "b")
        ]
    );
}

#[test]
fn facts_are_what_the_fields_mean() {
    let check = |name: &str, message: &[u8], expected: Option<&[(&str, &str)]>| {
        let found = SCHEMA.scalars(method(&SCHEMA, name).input, message).ok();
        let found: Option<Vec<(&str, &str)>> =
            found.as_ref().map(|all| all.iter().map(|(name, value)| (&**name, &**value)).collect());
        assert_eq!(found.as_deref(), expected, "{name} {message:x?}");
    };
    check("Read", b"", Some(&[("user_id", ""), ("note_id", "")]));
    check("Read", &put(2, "n1"), Some(&[("note_id", "n1"), ("user_id", "")]));
    check("Add", &num(3, 1), Some(&[("pinned", "true"), ("user_id", "")]));
    check("Watch", b"", Some(&[("user_id", ""), ("color", "COLOR_UNSPECIFIED")]));
    check(
        "Watch",
        &[num(2, 5), num(3, 1)].concat(),
        Some(&[("limit", "5"), ("color", "COLOR_RED"), ("user_id", "")]),
    );
    check("Watch", &num(3, 9), Some(&[("color", "9"), ("user_id", "")]));
    check("Read", &[put(1, "alice"), put(1, "bob")].concat(), None);
    check("Read", &put(1, b"\xff"), None);
    check("Read", &num(1, 1), None);
    check("Read", b"\x0a\x05a", None);
}

#[test]
fn heads_say_whether_they_are_grpc() {
    let check = |name: &'static str, value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        (is_grpc(&headers), is_protobuf(&headers), is_compressed(&headers))
    };
    for (value, expected) in [
        ("application/grpc", (true, true)),
        ("application/grpc+proto", (true, true)),
        ("Application/GRPC; charset=x", (true, true)),
        ("application/grpc+json", (true, false)),
        ("application/grpc-web", (false, false)),
        ("application/json", (false, false)),
        ("", (false, false)),
    ] {
        let (is_grpc, is_protobuf, _) = check("content-type", value);
        assert_eq!((is_grpc, is_protobuf), expected, "{value}");
    }
    assert!(check("grpc-encoding", "gzip").2 && check("grpc-encoding", "").2);
    assert!(!check("grpc-encoding", "identity").2 && !check("grpc-accept-encoding", "gzip").2);
}

#[test]
fn every_refusal_has_a_status() {
    for (reason, expected) in [
        (Reason::CredentialMissing, "16"),
        (Reason::CredentialAmbiguous, "16"),
        (Reason::Forbidden, "7"),
        (Reason::ContentBlocked, "7"),
        (Reason::BudgetExhausted, "8"),
        (Reason::BodyTooLarge, "8"),
        (Reason::UnknownRoute, "12"),
        (Reason::Hidden, "12"),
        (Reason::MediaTypeUnsupported, "12"),
        (Reason::BodyInvalid, "3"),
        (Reason::BodyMalformed, "3"),
        (Reason::UpstreamTimeout, "4"),
        (Reason::UpstreamUnreachable, "14"),
        (Reason::Overloaded, "14"),
        (Reason::AnswerInvalid, "13"),
        (Reason::Internal, "13"),
    ] {
        assert_eq!(Status::of_reason(reason).as_str(), expected, "{reason:?}");
    }
    let hidden = Halt::new(Reason::Hidden, "").with_denied(Some("user_id"));
    let Halt::Refusal(refusal) = hidden else { panic!("a refusal") };
    assert_eq!(Status::of(&refusal), Status::NotFound);
}

#[test]
fn whatever_is_sent_is_read_without_fault() {
    use proptest::prelude::*;
    proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
        let checked = SCHEMA.check(method(&SCHEMA, "Add").input, &bytes, Unknown::Refuse, true);
        // What passes whole has facts: both read the same.
        if checked.violations.is_empty() {
            prop_assert!(SCHEMA.scalars(method(&SCHEMA, "Add").input, &bytes).is_ok());
        }
        let _ = Schema::parse(&bytes);
    });
}

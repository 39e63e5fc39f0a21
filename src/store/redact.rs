//! Values that are not shown: a type and a keyed hash stand for each, so that equal values can be recognised and nothing else.
//!
//! The key is random and dies with the process: without it a hash of a short value can't be reversed by trying. Names of fields are
//! not values and stay.

use crate::json::{self, Decimal, Document, Node};
use crate::redact;
use crate::store::patch_text::PatchText;
use crate::store::target;
use hmac::{Hmac, KeyInit, Mac};
use json_patch::{Patch, PatchOperation};
use serde::Serialize;
use serde_json::{Number, Value, json};
use sha2::Sha256;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};

/// What is shown in place of a value.
#[derive(Serialize)]
struct StandIn {
    #[serde(rename = "$redacted")]
    redacted: &'static str,
    hash: String,
}

/// An operation as it is written.
#[derive(Serialize)]
#[serde(untagged)]
enum Written<'p, V> {
    Valued {
        op: &'static str,
        path: &'p str,
        value: V,
    },
    Plain(&'p PatchOperation),
}

/// A patch with what `show` makes of its values, of which it is told the path.
fn write_patch<V: Serialize>(patch: &Patch, show: impl Fn(&str, &Value) -> V) -> PatchText {
    let operations = patch.iter().map(|operation| {
        let (op, value) = match operation {
            PatchOperation::Add(add) => ("add", &add.value),
            PatchOperation::Replace(replace) => ("replace", &replace.value),
            PatchOperation::Test(test) => ("test", &test.value),
            PatchOperation::Remove(_) | PatchOperation::Move(_) | PatchOperation::Copy(_) => {
                return Written::Plain(operation);
            }
        };
        let path = operation.path().as_str();
        let value = show(path, value);
        Written::Valued { op, path, value }
    });
    PatchText::new(&operations.collect::<Vec<_>>())
}

/// Hides values behind keyed hashes.
#[derive(Clone)]
pub struct Redactor {
    /// It has taken the key, and no text yet.
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor with a random key. Fails only where the system has no randomness.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self::keyed(&key))
    }

    fn keyed(key: &[u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Self { keyed }
    }

    /// What stands for a value: `{"$redacted": TYPE, "hash": HASH}`. Equal values have equal hashes, whatever the order of an object's
    /// keys and the spelling of a number.
    #[must_use]
    pub fn redact(&self, value: &Value) -> Value {
        let StandIn { redacted, hash } = self.stand_in(value);
        json!({ "$redacted": redacted, "hash": hash })
    }

    fn stand_in(&self, value: &Value) -> StandIn {
        StandIn {
            redacted: type_name(value),
            hash: self.hash_value(value),
        }
    }

    /// A patch with every value redacted.
    #[must_use]
    pub fn redact_patch(&self, patch: &Patch) -> PatchText {
        write_patch(patch, |_, value| self.stand_in(value))
    }

    /// A patch in which only secrets are redacted: what stands below a member whose name is one, and such members of values.
    #[must_use]
    pub fn redact_secrets(&self, patch: &Patch) -> PatchText {
        write_patch(patch, |path, value| {
            if path.split('/').any(redact::is_secret) {
                return self.redact(value);
            }
            let mut shown = value.clone();
            self.hide_secrets(&mut shown);
            shown
        })
    }

    /// Values come from documents of bounded depth.
    fn hide_secrets(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::Array(elements) => elements
                .iter_mut()
                .for_each(|element| self.hide_secrets(element)),
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    if redact::is_secret(name) {
                        *member = self.redact(member);
                    } else {
                        self.hide_secrets(member);
                    }
                }
            }
        }
    }

    /// A request's path and query in which the value of every parameter whose name is that of a secret reads `$redacted:HASH`.
    #[must_use]
    pub fn redact_secret_parameters(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else {
            return target.to_owned();
        };
        let hide = |value: &str| target::hidden(value, &|value| self.hash_bytes(value));
        format!("{path}?{}", redact::query(query, &hide))
    }

    /// A request's path and query in which every query value, and every segment that `pattern` gives a name in `hidden`, reads
    /// `$redacted:HASH`. `pattern` is the route's, such as `GET /contents/{content}/tags`.
    #[must_use]
    pub fn redact_target(&self, target: &str, pattern: &str, hidden: &[String]) -> String {
        target::redact(target, pattern, hidden, &|value| self.hash_bytes(value))
    }

    /// The hash of a text, as it stands in `{"$redacted": "string", "hash": HASH}`.
    #[must_use]
    pub fn hash_text(&self, text: &str) -> String {
        self.hash_canonical(&json!(text).to_string())
    }

    /// The hash of a value of a document as it was read: the one that [`Self::redact`] gives it, and another for each other value, whatever its digits.
    pub(in crate::store) fn hash_node(&self, document: &Document<'_>, node: Node) -> String {
        let mut text = String::new();
        canonical_node(document, node, &mut text);
        self.hash_canonical(&text)
    }

    /// The hash of a body that is no document: of its bytes as they are.
    pub(in crate::store) fn hash_of(&self, bytes: &[u8]) -> String {
        self.hash(bytes)
    }

    /// The hash of a text, or of bytes that are none.
    fn hash_bytes(&self, bytes: &[u8]) -> String {
        self.hash_text(&String::from_utf8_lossy(bytes))
    }

    fn hash_value(&self, value: &Value) -> String {
        let mut text = String::new();
        canonical(value, &mut text);
        self.hash_canonical(&text)
    }

    fn hash_canonical(&self, text: &str) -> String {
        self.hash(text.as_bytes())
    }

    /// The first 16 hex digits of HMAC-SHA256.
    fn hash(&self, bytes: &[u8]) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // A document has thousands of values: to take the key again, or to format each byte, would cost more than their hashes.
        let mut mac = self.keyed.clone();
        mac.update(bytes);
        let mut hash = String::with_capacity(16);
        for byte in &mac.finalize().into_bytes()[..8] {
            for digit in [byte >> 4, byte & 15] {
                hash.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        hash
    }
}

/// The type of a value as JSON calls it.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// One text for all equal values: keys in order, numbers in one spelling. Values come from documents of bounded depth.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Number(number) => text.push_str(&canonical_number(number)),
        Value::Array(elements) => {
            text.push('[');
            for element in elements {
                canonical(element, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort_unstable();
            text.push('{');
            for name in names {
                text.push_str(&json!(name).to_string());
                text.push(':');
                canonical(&members[name.as_str()], text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

/// The same of a document as it was read. Of a name that stands twice both values count, in their order.
fn canonical_node(document: &Document<'_>, node: Node, text: &mut String) {
    match document.value(node) {
        json::Value::Null => text.push_str("null"),
        json::Value::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        json::Value::Number(number) => text.push_str(&canonical_digits(number)),
        json::Value::String(string) => text.push_str(&json!(string).to_string()),
        json::Value::Array => {
            text.push('[');
            for child in document.children(node) {
                canonical_node(document, child, text);
                text.push(',');
            }
            text.push(']');
        }
        json::Value::Object => {
            let mut members: Vec<Node> = document.children(node).collect();
            members.sort_by_key(|member| document.key(*member));
            text.push('{');
            for member in members {
                text.push_str(&json!(document.key(member)).to_string());
                text.push(':');
                canonical_node(document, member, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

/// One text for all spellings of a number, and one of its own for each number.
fn canonical_digits(text: &str) -> String {
    /// Takes down what a value is hashed by: the same for equal ones.
    #[derive(Default)]
    struct Bytes(String);

    impl Hasher for Bytes {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                write!(self.0, "{byte:02x}").expect("a String takes all text");
            }
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let exact = |number: &Number| Decimal::parse(&number.to_string()) == Decimal::parse(text);
    match serde_json::from_str::<Number>(text).ok().filter(exact) {
        Some(number) => canonical_number(&number),
        None => {
            let mut bytes = Bytes::default();
            Decimal::parse(text).hash(&mut bytes);
            bytes.0
        }
    }
}

/// `1`, `1.0` and `1e0` are one number; so are `0` and `-0`.
fn canonical_number(number: &Number) -> String {
    /// Up to here each whole `f64` is one integer, and each integer one `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            format!("{}", float as i64)
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor(key: u8) -> Redactor {
        Redactor::keyed(&[key; 32])
    }

    #[test]
    fn a_value_reads_as_its_type_and_hash() {
        let redactor = redactor(1);
        for (value, kind) in [
            (json!(null), "null"),
            (json!(true), "boolean"),
            (json!(1.5), "number"),
            (json!("0ad"), "string"),
            (json!([1]), "array"),
            (json!({"a": 1}), "object"),
        ] {
            let shown = redactor.redact(&value);
            assert_eq!(shown["$redacted"], kind);
            let hash = shown["hash"].as_str().unwrap();
            assert!(
                hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
                "{hash}"
            );
        }
        assert_eq!(
            redactor.redact(&json!("0ad"))["hash"],
            json!(redactor.hash_text("0ad"))
        );
    }

    #[test]
    fn equal_values_and_only_they_have_equal_hashes() {
        let redactor = redactor(1);
        let parse =
            |text: &str| redactor.redact(&serde_json::from_str(text).unwrap())["hash"].clone();
        for (one, two) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("0", "-0.0"),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
            (r#""é""#, r#""\u00e9""#),
        ] {
            assert_eq!(parse(one), parse(two), "{one} {two}");
        }
        for (one, two) in [
            ("1", "\"1\""),
            ("null", "\"null\""),
            ("[1,2]", "[2,1]"),
            ("[[1],2]", "[[1,2]]"),
            ("9007199254740993", "9007199254740992"),
            (r#"{"a":1}"#, r#"{"a":2}"#),
            ("[]", "{}"),
        ] {
            assert_ne!(parse(one), parse(two), "{one} {two}");
        }
    }

    #[test]
    fn another_process_hashes_otherwise() {
        let hash = |redactor: Redactor| redactor.hash_text("0ad");
        assert_ne!(
            hash(Redactor::new().unwrap()),
            hash(Redactor::new().unwrap())
        );
        // RFC 2104 with SHA-256, computed by another implementation over the text "0ad" in quotes.
        assert_eq!(hash(redactor(0)), PINNED);
    }

    /// `printf '"0ad"' | openssl dgst -sha256 -mac HMAC -macopt hexkey:00..00`, first 16 digits.
    const PINNED: &str = "22e649e5c365fa2b";

    #[test]
    fn a_redacted_patch_keeps_its_shape() {
        let patch: Patch = serde_json::from_value(json!([
            {"op": "add", "path": "/a", "value": "secret"},
            {"op": "remove", "path": "/b"},
            {"op": "replace", "path": "/c/0", "value": {"inner": "secret"}},
            {"op": "test", "path": "/d", "value": "secret"},
            {"op": "move", "from": "/e", "path": "/f"},
            {"op": "copy", "from": "/g", "path": "/h"},
        ]))
        .unwrap();
        let redacted = serde_json::to_value(redactor(1).redact_patch(&patch)).unwrap();
        assert!(
            !redacted.to_string().contains("secret") && !redacted.to_string().contains("inner"),
            "{redacted}"
        );
        assert_eq!(redacted[0]["path"], "/a");
        assert_eq!(redacted[0]["value"], redactor(1).redact(&json!("secret")));
        assert_eq!(redacted[2]["value"]["$redacted"], "object");
        assert_eq!(
            redacted[4],
            json!({"op": "move", "from": "/e", "path": "/f"})
        );
        assert_eq!(redacted.as_array().unwrap().len(), 6);
    }

    #[test]
    fn secrets_are_hidden_where_values_are_shown() {
        let patch: Patch = serde_json::from_value(json!([
            {"op": "add", "path": "/a", "value": "shown"},
            {"op": "add", "path": "/access_token", "value": "PLANTED"},
            {"op": "replace", "path": "/tokens/3/id", "value": "PLANTED"},
            {"op": "test", "path": "", "value": {"b": [{"Set-Cookie": ["PLANTED"], "c": "shown"}], "client_secret": {"d": "PLANTED"}}},
            {"op": "remove", "path": "/token"},
        ]))
        .unwrap();
        let hidden = serde_json::to_value(redactor(1).redact_secrets(&patch)).unwrap();
        assert!(!hidden.to_string().contains("PLANTED"), "{hidden}");
        assert_eq!(
            hidden[0],
            json!({"op": "add", "path": "/a", "value": "shown"})
        );
        assert_eq!(hidden[1]["value"], redactor(1).redact(&json!("PLANTED")));
        assert_eq!(hidden[3]["value"]["b"][0]["c"], "shown");
        assert_eq!(hidden[3]["value"]["client_secret"]["$redacted"], "object");
        let target = |text: &str| redactor(1).redact_secret_parameters(text);
        assert_eq!(target("/a?b=1&c"), "/a?b=1&c");
        assert_eq!(target("/token"), "/token");
        let hash = redactor(1).hash_text("x y");
        assert_eq!(
            target("/a?token=x+y&b=1"),
            format!("/a?token=$redacted:{hash}&b=1")
        );
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", redactor(7)), "Redactor { .. }");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_text_hashes_by_all_of_it(one in ".{0,20}", two in ".{0,20}") {
            let redactor = redactor(1);
            prop_assert_eq!(redactor.hash_text(&one) == redactor.hash_text(&two), one == two);
        }
    }
}

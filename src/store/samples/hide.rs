//! Documents without their values: a type and a keyed hash stand for each, so that what can be said of equality, structure and order can still be said.

use crate::config::settings::Values;
use crate::json::path::{FieldPath, Progress, Step};
use crate::json::{Document, Node, Value};
use crate::redact;
use crate::store::mismatch::KeyText;
use crate::store::redact::Redactor;
use std::sync::Arc;

/// What of a route's samples is shown.
#[derive(Clone, Debug)]
pub struct Hiding {
    /// Whether values are.
    pub values: Values,
    /// Places whose values are, whatever the others.
    pub show: Arc<[FieldPath]>,
    /// The route's pattern.
    pub pattern: String,
    /// Names of the path's placeholders that the key reads.
    pub key_placeholders: Vec<String>,
    /// Whether the key reads what has the name of a secret.
    pub key_is_secret: bool,
}

impl Hiding {
    /// Whether all values are shown that are no secrets.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.values {
            Values::Redacted => false,
            Values::Shown => true,
        }
    }

    /// A request's path and query.
    #[must_use]
    pub fn target(&self, target: &str, redactor: &Redactor) -> String {
        if self.is_open() {
            redactor.redact_secret_parameters(target)
        } else {
            redactor.redact_target(target, &self.pattern, &self.key_placeholders)
        }
    }

    /// A request's key.
    #[must_use]
    pub fn key(&self, key: &str, redactor: &Redactor) -> KeyText {
        let hidden = !self.is_open() || self.key_is_secret;
        KeyText::new(key, hidden.then_some(redactor))
    }

    /// A document's text, without blanks. Names stay; so does `null`, which is a type and its value in one; what stands below a member with the name of a
    /// secret goes as a whole. `hash` gives the keyed hash that stands for a value.
    #[must_use]
    pub fn document(&self, document: &Document<'_>, hash: &dyn Fn(Node) -> String) -> HiddenText {
        let mut writer = Writer {
            document,
            hash,
            show: if self.is_open() { &[] } else { &self.show },
            progress: Vec::new(),
            text: String::new(),
            hidden: false,
        };
        writer
            .progress
            .extend(writer.show.iter().map(FieldPath::start));
        let root_shown = writer.show.iter().any(|path| path.selects(path.start()));
        writer.value(Node::ROOT, self.is_open() || root_shown);
        HiddenText {
            text: writer.text,
            hidden: writer.hidden,
        }
    }
}

/// A document's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenText {
    /// JSON.
    pub text: String,
    /// Whether something stands for a value in it.
    pub hidden: bool,
}

struct Writer<'a> {
    document: &'a Document<'a>,
    hash: &'a dyn Fn(Node) -> String,
    show: &'a [FieldPath],
    /// How far each path of `show` has come, for each level down to the present one.
    progress: Vec<Progress>,
    text: String,
    hidden: bool,
}

impl Writer<'_> {
    fn value(&mut self, node: Node, shown: bool) {
        match self.document.value(node) {
            Value::Null => self.text.push_str("null"),
            Value::Bool(_) | Value::Number(_) | Value::String(_) if !shown => self.stand_in(node),
            Value::Bool(true) => self.text.push_str("true"),
            Value::Bool(false) => self.text.push_str("false"),
            Value::Number(text) => self.text.push_str(text),
            Value::String(text) => self.string(text),
            Value::Array => {
                let len = self.document.count(node);
                self.text.push('[');
                for (at, child) in self.document.children(node).enumerate() {
                    self.comma(at);
                    self.child(child, Step::Index { at, len }, shown);
                }
                self.text.push(']');
            }
            Value::Object => {
                self.text.push('{');
                for (at, child) in self.document.children(node).enumerate() {
                    self.comma(at);
                    let name = self.document.key(child);
                    self.string(name);
                    self.text.push(':');
                    if redact::is_secret(name) {
                        self.stand_in(child);
                    } else {
                        self.child(child, Step::Name(name), shown);
                    }
                }
                self.text.push('}');
            }
        }
    }

    /// Documents are of bounded depth.
    fn child(&mut self, child: Node, step: Step<'_>, shown: bool) {
        if shown {
            return self.value(child, true);
        }
        let level = self.progress.len() - self.show.len();
        let mut selected = false;
        for (index, path) in self.show.iter().enumerate() {
            let progress = path.advance(self.progress[level + index], step);
            selected |= path.selects(progress);
            self.progress.push(progress);
        }
        self.value(child, selected);
        self.progress.truncate(level + self.show.len());
    }

    fn stand_in(&mut self, node: Node) {
        let kind = match self.document.value(node) {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array => "array",
            Value::Object => "object",
        };
        let hash = (self.hash)(node);
        // Neither has a character that JSON would escape.
        self.text.push_str("{\"$redacted\":\"");
        self.text.push_str(kind);
        self.text.push_str("\",\"hash\":\"");
        self.text.push_str(&hash);
        self.text.push_str("\"}");
        self.hidden = true;
    }

    fn string(&mut self, text: &str) {
        redact::write_json(text, &mut self.text).expect("a String takes all text");
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.text.push(',');
        }
    }
}

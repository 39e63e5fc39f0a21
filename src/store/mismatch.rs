//! A mismatch as it is kept and shown: one row of `GET /api/mismatches`.

use crate::compare::cause::Mark;
use crate::compare::{Divergence, Kind};
use crate::side::Side;
use crate::store::patch_text::PatchText;
use crate::store::redact::Redactor;
use crate::store::side_text;
use serde::{Serialize, Serializer};
use serde_json::json;
use std::time::Duration;

/// One pair of answers that differ under the rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mismatch {
    /// Counts from 1 since the start; set by [`crate::store::Mismatches::push`].
    pub id: u64,
    /// When it was found, RFC 3339.
    pub at: String,
    /// The route's name.
    pub route: String,
    /// The request's method.
    pub method: String,
    /// The request's path and query.
    pub target: String,
    /// The request's key, if it has one.
    pub key: Option<KeyText>,
    /// The key's bucket.
    pub bucket: Option<u16>,
    /// The side whose answer the client got.
    #[serde(with = "side_text")]
    pub served: Side,
    /// Generation of the settings that decided.
    pub generation: u64,
    /// Both sides were asked again, and the verdict is that of the last look.
    pub rechecked: bool,
    /// New answered like old when it was asked again, and no write is known that it could have been behind: perhaps one of several behind it is
    /// wrong.
    pub flaky: bool,
    /// What old answered.
    pub old: Answered,
    /// What new answered.
    pub new: Answered,
    /// Every difference.
    pub fields: Vec<FieldRow>,
    /// True if there were too many differences to keep.
    pub fields_truncated: bool,
    /// RFC 6902 from old to new, where bodies were compared as JSON.
    pub patch: Option<PatchText>,
    /// Applied to old, the patch gives new (as long as its values are shown).
    pub patch_exact: bool,
    /// The patch is not whole, or too large to keep.
    pub patch_truncated: bool,
    /// Values, key and query values are hidden.
    pub redacted: bool,
    /// By which its causes are found; never shown.
    #[serde(skip)]
    pub marks: Vec<Mark>,
}

/// A key, shown or hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyText {
    /// As it is.
    Shown(String),
    /// Its keyed hash.
    Redacted(String),
}

/// What one side answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// From the request sent to the head of the answer.
    pub latency_ms: f64,
}

/// Where answers differ, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldRow {
    /// The generalised path.
    pub path: String,
    /// Where it was.
    pub at: String,
    /// How the sides differ there.
    #[serde(serialize_with = "kind_name")]
    pub kind: Kind,
}

impl KeyText {
    /// A key that is hidden if there is a redactor.
    #[must_use]
    pub fn new(key: &str, redactor: Option<&Redactor>) -> Self {
        match redactor {
            Some(redactor) => Self::Redacted(redactor.hash_text(key)),
            None => Self::Shown(key.to_owned()),
        }
    }
}

impl Serialize for KeyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Shown(key) => serializer.serialize_str(key),
            Self::Redacted(hash) => {
                json!({ "$redacted": "string", "hash": hash }).serialize(serializer)
            }
        }
    }
}

impl Answered {
    /// What a side answered; the latency to a microsecond.
    #[must_use]
    pub fn new(status: http::StatusCode, latency: Duration) -> Self {
        Self {
            status: status.as_u16(),
            latency_ms: latency.as_micros() as f64 / 1_000.0,
        }
    }
}

impl From<&Divergence> for FieldRow {
    fn from(divergence: &Divergence) -> Self {
        Self {
            path: divergence.path.clone(),
            at: divergence.at.clone(),
            kind: divergence.kind,
        }
    }
}

// Serde hands a reference to `serialize_with`.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn kind_name<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

impl Mismatch {
    /// Memory that the row holds, in bytes, a little more rather than less.
    #[must_use]
    pub fn weight(&self) -> usize {
        let key = match &self.key {
            Some(KeyText::Shown(text) | KeyText::Redacted(text)) => text.len(),
            None => 0,
        };
        let texts = self.at.len() + self.route.len() + self.method.len() + self.target.len() + key;
        let fields: usize = self.fields.iter().map(field_weight).sum();
        let patch = self.patch.as_ref().map_or(0, PatchText::len);
        let marks = self.marks.len() * size_of::<Mark>();
        size_of::<Self>() + texts + fields + patch + marks
    }

    /// Gives up parts until the row fits: the patch first, then the last fields; the row says so.
    pub(super) fn fit(&mut self, bytes: usize) {
        if self.weight() > bytes && self.patch.is_some() {
            self.patch = None;
            self.patch_exact = false;
            self.patch_truncated = true;
        }
        let mut spare = bytes
            .saturating_sub(self.weight() - self.fields.iter().map(field_weight).sum::<usize>());
        let kept = self.fields.iter().take_while(|field| {
            let fits = field_weight(field) <= spare;
            spare = spare.saturating_sub(field_weight(field));
            fits
        });
        let kept = kept.count();
        self.fields_truncated |= kept < self.fields.len();
        self.fields.truncate(kept);
        self.fields.shrink_to_fit();
    }
}

fn field_weight(field: &FieldRow) -> usize {
    size_of::<FieldRow>() + field.path.len() + field.at.len()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A row with everything in it.
    pub(in crate::store) fn row(route: &str) -> Mismatch {
        Mismatch {
            id: 0,
            at: "2024-01-01T00:00:00.000Z".to_owned(),
            route: route.to_owned(),
            method: "GET".to_owned(),
            target: "/contents/0ad/tags".to_owned(),
            key: Some(KeyText::Shown("0ad".to_owned())),
            bucket: Some(4281),
            served: Side::Old,
            generation: 3,
            rechecked: true,
            flaky: false,
            old: Answered::new(http::StatusCode::OK, Duration::from_nanos(1_234_567)),
            new: Answered::new(http::StatusCode::NOT_FOUND, Duration::from_millis(2)),
            fields: vec![FieldRow {
                path: "$.tags[*]".to_owned(),
                at: "$.tags[3]".to_owned(),
                kind: Kind::Missing,
            }],
            fields_truncated: false,
            patch: Some(PatchText::new(
                &json!([{"op": "remove", "path": "/tags/3"}]),
            )),
            patch_exact: true,
            patch_truncated: false,
            redacted: false,
            marks: Vec::new(),
        }
    }

    #[test]
    fn a_row_reads_as_the_contract_says() {
        let expected = json!({
            "id": 0, "at": "2024-01-01T00:00:00.000Z", "route": "tags", "method": "GET", "target": "/contents/0ad/tags",
            "key": "0ad", "bucket": 4281, "served": "old", "generation": 3, "rechecked": true, "flaky": false,
            "old": {"status": 200, "latency_ms": 1.234}, "new": {"status": 404, "latency_ms": 2.0},
            "fields": [{"path": "$.tags[*]", "at": "$.tags[3]", "kind": "missing"}], "fields_truncated": false,
            "patch": [{"op": "remove", "path": "/tags/3"}], "patch_exact": true, "patch_truncated": false, "redacted": false,
        });
        assert_eq!(serde_json::to_value(row("tags")).unwrap(), expected);
        let hidden = Mismatch {
            key: Some(KeyText::Redacted("0123".to_owned())),
            bucket: None,
            patch: None,
            ..row("tags")
        };
        let hidden = serde_json::to_value(hidden).unwrap();
        assert_eq!(
            hidden["key"],
            json!({"$redacted": "string", "hash": "0123"})
        );
        assert_eq!(
            (&hidden["bucket"], &hidden["patch"]),
            (&json!(null), &json!(null))
        );
    }

    #[test]
    fn a_row_that_is_too_heavy_says_what_it_gave_up() {
        let operation = json!({"op": "add", "path": "/a", "value": "x".repeat(10_000)});
        let mut heavy = row("tags");
        heavy.patch = Some(PatchText::new(&[operation]));
        let mut fits = heavy.clone();
        fits.fit(20_000);
        assert_eq!(fits, heavy);
        heavy.fit(5_000);
        assert_eq!(
            (&heavy.patch, heavy.patch_exact, heavy.patch_truncated),
            (&None, false, true)
        );
        assert_eq!((heavy.fields.len(), heavy.fields_truncated), (1, false));

        let mut long = row("tags");
        let path = "$.".to_owned() + &"x".repeat(98);
        long.fields = vec![
            FieldRow {
                path: path.clone(),
                at: path,
                kind: Kind::Extra
            };
            1_000
        ];
        long.fit(50_000);
        assert!(
            long.fields_truncated && !long.fields.is_empty(),
            "{}",
            long.fields.len()
        );
        assert!(
            long.weight() <= 50_000 && long.weight() > 45_000,
            "{}",
            long.weight()
        );
    }

    #[test]
    fn weight_grows_with_what_is_held() {
        let light = row("tags").weight();
        let mut heavy = row("tags");
        heavy.patch = Some(PatchText::new(
            &json!([{"op": "add", "path": "/a", "value": {"n": [1, {"x": "y".repeat(1_000)}]}}]),
        ));
        assert!(heavy.weight() > light + 1_000);
    }
}

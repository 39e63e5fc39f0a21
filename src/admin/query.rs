//! Queries of the API: what is unknown or given twice is refused rather than ignored.

use crate::admin::refusal::Refusal;
use http::StatusCode;

/// Rows that are shown unless the query says otherwise.
const DEFAULT_LIMIT: usize = 50;
/// Rows that may be asked for.
const MOST: usize = 1_000;

/// The values of these parameters. An empty value is as none.
pub(super) fn parameters<const N: usize>(
    query: &str,
    names: [&'static str; N],
) -> Result<[Option<String>; N], Refusal> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let listed = names.iter().map(|name| format!("`{name}`"));
        let listed = listed.collect::<Vec<_>>().join(", ");
        let Some(place) = names.iter().position(|known| *known == name) else {
            return Err(refuse(format!(
                "The query may hold {listed}, nothing else."
            )));
        };
        if values[place].replace(value.into_owned()).is_some() {
            return Err(refuse(format!("The query may hold {listed} once each.")));
        }
    }
    Ok(values.map(|value: Option<String>| value.filter(|text| !text.is_empty())))
}

/// How many rows are asked for.
pub(super) fn limit(text: Option<&str>) -> Result<usize, Refusal> {
    match text {
        None => Ok(DEFAULT_LIMIT),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| refuse("`limit` must be a whole number from 1 to 1000.")),
    }
}

/// 400, and why.
pub(super) fn refuse(detail: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "query", detail.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Option<(Option<&str>, usize)>) {
        let found = parameters(query, ["route", "limit"])
            .and_then(|[route, count]| Ok((route, limit(count.as_deref())?)));
        let found = found.ok();
        let found = found
            .as_ref()
            .map(|(route, limit)| (route.as_deref(), *limit));
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn queries() {
        check("", Some((None, 50)));
        check("route=&limit=", Some((None, 50)));
        check("route=tags", Some((Some("tags"), 50)));
        check("limit=1000&route=a%2Db", Some((Some("a-b"), 1_000)));
        check("limit=1", Some((None, 1)));
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=ten",
            "limit=1.5",
            "limt=5",
            "limit=1&limit=2",
            "route=a&route=",
            "x",
        ] {
            check(bad, None);
        }
    }
}

//! Who may use the API: the bearer token that guards `/api/*`, and what a change must carry so that no web page can make one.
//!
//! Against DNS rebinding a change needs a Host that is ours: a page of `evil.example` that is made to resolve to this machine still says
//! `evil.example`. Against cross-site forms it needs a content type that browsers ask permission for.

use crate::admin::api::Admin;
use crate::admin::refusal::Refusal;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, StatusCode};
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// A token file beyond this is a mistake.
const TOKEN_LIMIT: usize = 4096;

/// Lets a request to `/api/*` pass if it carries the token. The file is read for each request: a token that was changed counts at once.
pub(super) async fn token(
    State(admin): State<Admin>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        let settings = admin.live.snapshot().settings.clone();
        match settings.server.admin_token_file.clone() {
            Some(file) => {
                let expected = tokio::task::spawn_blocking(move || read_token(&file))
                    .await
                    .ok()
                    .flatten();
                let expected = expected.ok_or_else(|| {
                    Refusal::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "token_file",
                        "The file of server.admin_token_file holds no usable token.",
                    )
                })?;
                authorize(request.headers(), &expected)?;
            }
            // The file that named a token may have been edited since the address was bound.
            None if !admin.address.ip().to_canonical().is_loopback() => {
                let detail =
                    "The admin address is not loopback, so the API needs server.admin_token_file.";
                return Err(Refusal::new(StatusCode::FORBIDDEN, "token_needed", detail));
            }
            None => {}
        }
    }
    Ok(next.run(request).await)
}

/// Lets a change pass if its Host is ours and its content type is JSON.
pub(super) async fn change(
    State(admin): State<Admin>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let settings = admin.live.snapshot().settings.clone();
    // A target in absolute form names the host too, and RFC 9112 §3.2.2 lets it win: then both must be ours.
    let hosts: Vec<_> = request
        .headers()
        .get_all(HOST)
        .iter()
        .map(|host| host.to_str().unwrap_or_default())
        .collect();
    let named = request.uri().authority().map(Authority::as_str);
    let ours = |host: &str| is_ours(host, admin.address, &settings.server.admin_hosts);
    if hosts.len() != 1 || !hosts.iter().copied().chain(named).all(ours) {
        let detail = "Changes need a Host that is the admin address, localhost or listed in server.admin_hosts.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "host", detail));
    }
    if !is_json(request.headers()) {
        let detail = "Changes need `content-type: application/json`, DELETE too.";
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
            detail,
        ));
    }
    Ok(next.run(request).await)
}

fn read_token(file: &Path) -> Option<Vec<u8>> {
    match std::fs::read(file) {
        Ok(text) => Some(text.trim_ascii().to_vec())
            .filter(|token| !token.is_empty() && token.len() <= TOKEN_LIMIT),
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "server.admin_token_file can't be read: the API is closed");
            None
        }
    }
}

fn authorize(headers: &HeaderMap, expected: &[u8]) -> Result<(), Refusal> {
    let refuse = |detail, challenge| {
        Err(
            Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
                .with(WWW_AUTHENTICATE, challenge),
        )
    };
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return refuse(
            "The API needs one `authorization: Bearer TOKEN`.",
            "Bearer realm=\"crossfade\"",
        );
    };
    match bearer(field.as_bytes()) {
        Some(token) if same(token, expected) => Ok(()),
        Some(_) => refuse(
            "The token is not the one of this proxy.",
            "Bearer realm=\"crossfade\", error=\"invalid_token\"",
        ),
        None => refuse(
            "The API needs `authorization: Bearer TOKEN`.",
            "Bearer realm=\"crossfade\"",
        ),
    }
}

/// The token of `Bearer TOKEN`; the scheme is without case (RFC 9110 §11.1).
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// Equality in a time that tells nothing of either: tags of both are compared, and those in constant time.
fn same(one: &[u8], two: &[u8]) -> bool {
    let tagged = |text: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"crossfade admin token")
            .expect("HMAC takes keys of any length");
        mac.update(text);
        mac
    };
    tagged(one)
        .verify(&tagged(two).finalize().into_bytes())
        .is_ok()
}

/// Whether a Host is one that changes may come to. Ports are not compared: behind a forwarded port the client sees another one.
fn is_ours(host: &str, admin: SocketAddr, listed: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let name = authority.host();
    let literal = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    // An address literal can't be rebound, so where every address of the machine is listened on each is ours.
    let address = literal.is_ok_and(|ip| ip == admin.ip() || admin.ip().is_unspecified());
    let is_listed = || {
        listed
            .iter()
            .any(|entry| entry.eq_ignore_ascii_case(name) || entry.eq_ignore_ascii_case(host))
    };
    address || name.eq_ignore_ascii_case("localhost") || is_listed()
}

/// Whether the content type is `application/json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return false;
    };
    let media_type = field
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn hosts() {
        let listed = [
            "admin.example.org".to_owned(),
            "other.example:8443".to_owned(),
        ];
        for (host, admin, expected) in [
            ("127.0.0.1:9900", "127.0.0.1:9900", true),
            ("127.0.0.1", "127.0.0.1:9900", true),
            ("127.0.0.1:8080", "127.0.0.1:9900", true),
            ("127.0.0.2:9900", "127.0.0.1:9900", false),
            ("localhost:9900", "127.0.0.1:9900", true),
            ("LOCALHOST", "[::1]:9900", true),
            ("[::1]:9900", "[::1]:9900", true),
            ("10.0.0.7:9900", "0.0.0.0:9900", true),
            ("evil.example:9900", "0.0.0.0:9900", false),
            ("Admin.Example.org:9900", "127.0.0.1:9900", true),
            ("admin.example.org.evil.example", "127.0.0.1:9900", false),
            ("other.example:8443", "127.0.0.1:9900", true),
            ("other.example", "127.0.0.1:9900", false),
            ("localhost.evil.example", "127.0.0.1:9900", false),
            ("evil@localhost", "127.0.0.1:9900", false),
            ("", "127.0.0.1:9900", false),
            ("a b", "127.0.0.1:9900", false),
        ] {
            assert_eq!(
                is_ours(host, admin.parse().unwrap(), &listed),
                expected,
                "{host} at {admin}"
            );
        }
    }

    #[test]
    fn content_types() {
        for (field, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json;", true),
            ("text/plain", false),
            ("application/json-patch+json", false),
            ("application/x-www-form-urlencoded", false),
            ("text/plain; application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(field))]);
            assert_eq!(is_json(&headers), expected, "{field}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn tokens() {
        for (field, expected) in [
            ("Bearer s3cret", true),
            ("bearer   s3cret ", true),
            ("Bearer s3cre", false),
            ("Bearer s3crets", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic s3cret", false),
            ("s3cret", false),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(field))]);
            assert_eq!(authorize(&headers, b"s3cret").is_ok(), expected, "{field}");
        }
        assert!(authorize(&HeaderMap::new(), b"s3cret").is_err());
    }

    #[test]
    fn a_token_file_without_a_token_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        assert_eq!(read_token(&file), None);
        for (text, expected) in [
            ("", None),
            (" \n", None),
            ("s3cret\n", Some(b"s3cret".to_vec())),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read_token(&file), expected);
        }
        std::fs::write(&file, "x".repeat(TOKEN_LIMIT + 1)).unwrap();
        assert_eq!(read_token(&file), None);
    }
}

use super::*;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

fn catalog() -> Catalog {
    let entry = |content: &str, tags: &[&str]| Entry {
        content: content.to_owned(),
        title: format!("about {content}"),
        section: "test".to_owned(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
    };
    Catalog::new([
        entry("0ad", &["game::strategy", "role::program"]),
        entry("g++", &["devel::lang:c++", "role::program"]),
        entry("äö/x", &["role::data"]),
    ])
}

struct Asked {
    status: u16,
    media_type: String,
    headers: http::HeaderMap,
    text: String,
}

impl Asked {
    fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

async fn ask(router: &Router, method: &str, target: &str, body: &str) -> Asked {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let media_type = head
        .headers
        .get(header::CONTENT_TYPE)
        .map(|v| v.to_str().unwrap().to_owned())
        .unwrap_or_default();
    Asked {
        status: head.status.as_u16(),
        media_type,
        headers: head.headers,
        text,
    }
}

#[tokio::test]
async fn old_answers_the_truth_and_always_the_same() {
    let router = router(Side::Old, catalog());
    for (target, expected) in [
        (
            "/contents/0ad",
            json!({"content": "0ad", "title": "about 0ad", "section": "test", "tags": ["game::strategy", "role::program"], "updated_at": "2024-01-01T00:00:00Z"}),
        ),
        (
            "/contents/g%2b%2B/tags",
            json!({"content": "g++", "tags": ["devel::lang:c++", "role::program"], "updated_at": "2024-01-01T00:01:00Z"}),
        ),
        (
            "/contents/g++/tags",
            json!({"content": "g++", "tags": ["devel::lang:c++", "role::program"], "updated_at": "2024-01-01T00:01:00Z"}),
        ),
        (
            "/contents/%C3%A4%C3%B6%2Fx/tags",
            json!({"content": "äö/x", "tags": ["role::data"], "updated_at": "2024-01-01T00:02:00Z"}),
        ),
        (
            "/tags?limit=3",
            json!({"tags": [{"tag": "devel::lang:c++", "count": 1}, {"tag": "game::strategy", "count": 1}, {"tag": "role::data", "count": 1}], "next": "role::data"}),
        ),
        (
            "/tags?after=role::data",
            json!({"tags": [{"tag": "role::program", "count": 2}], "next": null}),
        ),
        ("/tags?after=zzz", json!({"tags": [], "next": null})),
        (
            "/tags/role::program/contents?limit=1",
            json!({"tag": "role::program", "contents": [{"content": "0ad", "title": "about 0ad"}], "next": "0ad"}),
        ),
        (
            "/tags/role%3A%3Aprogram/contents?after=0ad",
            json!({"tag": "role::program", "contents": [{"content": "g++", "title": "about g++"}], "next": null}),
        ),
        (
            "/tags/devel::lang:c++/contents",
            json!({"tag": "devel::lang:c++", "contents": [{"content": "g++", "title": "about g++"}], "next": null}),
        ),
    ] {
        for _ in 0..2 {
            let asked = ask(&router, "GET", target, "").await;
            assert_eq!(
                (asked.status, asked.media_type.as_str()),
                (200, "application/json"),
                "{target}"
            );
            assert_eq!(asked.body(), expected, "{target}");
        }
        let asked = ask(&router, "HEAD", target, "").await;
        assert_eq!(
            (asked.status, asked.text.as_str()),
            (200, ""),
            "HEAD {target}"
        );
        assert_eq!(
            asked.headers[header::CONTENT_LENGTH],
            expected.to_string().len().to_string(),
            "HEAD {target}"
        );
    }
}

#[tokio::test]
async fn new_has_the_known_differences_and_no_others() {
    let (old, new) = (router(Side::Old, catalog()), router(Side::New, catalog()));
    for target in ["/contents/g++", "/contents/g++/tags"] {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (mut told, mut shown) = (
                ask(&old, "GET", target, "").await.body(),
                ask(&new, "GET", target, "").await.body(),
            );
            seen.push(shown["updated_at"].clone());
            shown["tags"]
                .as_array_mut()
                .unwrap()
                .sort_by_key(|tag| tag.as_str().map(str::to_owned));
            assert_eq!(
                shown["tags"],
                json!(["devel::lang:c++", "role::application"])
            );
            told["tags"] = shown["tags"].clone();
            told["updated_at"] = shown["updated_at"].clone();
            assert_eq!(told, shown, "nothing else differs");
        }
        assert_ne!(seen[0], seen[1], "another updated_at each time");
    }
    let shown = ask(&new, "GET", "/tags?limit=1&after=role::data", "")
        .await
        .body();
    assert_eq!(
        shown,
        json!({"tags": [{"tag": "role::program", "count": "2"}], "next": null}),
        "its indexes are true"
    );
    let target = "/tags/role::program/contents";
    assert_eq!(
        ask(&new, "GET", target, "").await.text,
        ask(&old, "GET", target, "").await.text
    );
}

#[tokio::test]
async fn refusals_are_problems() {
    let router = router(Side::Old, catalog());
    let good = r#"{"content": "x", "title": "", "section": ""}"#;
    for (method, target, body, status, detail) in [
        ("GET", "/", "", 404, "no such path"),
        ("GET", "/contents/none", "", 404, "no such content"),
        ("GET", "/contents/none/tags", "", 404, "no such content"),
        ("GET", "/tags/none/contents", "", 404, "no such tag"),
        ("GET", "/contents/%FF", "", 400, "UTF-8"),
        (
            "GET",
            "/tags?limit=0",
            "",
            400,
            "limit is a whole number from 1 to 1000",
        ),
        ("GET", "/tags?limit=1001", "", 400, "1001"),
        (
            "GET",
            "/tags?after=a&after=b",
            "",
            400,
            "after is given twice",
        ),
        (
            "GET",
            "/tags/role::program/contents?limit=x",
            "",
            400,
            "limit",
        ),
        ("DELETE", "/tags", "", 405, "allow"),
        ("POST", "/contents", "", 400, "the body is no content"),
        ("POST", "/contents", r#"{"content": "x"}"#, 400, "title"),
        (
            "POST",
            "/contents",
            &good.replace("\"x\"", "\"\""),
            400,
            "need a name",
        ),
        (
            "POST",
            "/contents",
            &good.replace("\"x\"", "\"0ad\""),
            409,
            "already",
        ),
        ("PUT", "/contents/none/tags/a", "", 404, "no such content"),
        (
            "DELETE",
            "/contents/0ad/tags/a",
            "",
            404,
            "does not have this tag",
        ),
    ] {
        let asked = ask(&router, method, target, body).await;
        assert_eq!(
            (asked.status, asked.media_type.as_str()),
            (status, "application/problem+json"),
            "{method} {target}"
        );
        let problem = asked.body();
        assert_eq!(problem["status"], status);
        let told = problem["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{method} {target}: {told}");
    }
}

#[tokio::test]
async fn writes_change_what_is_read() {
    let router = router(Side::Old, catalog());
    assert_eq!(
        ask(&router, "PUT", "/contents/0ad/tags/use::a%2Fb", "")
            .await
            .status,
        204
    );
    assert_eq!(
        ask(&router, "DELETE", "/contents/0ad/tags/role::program", "")
            .await
            .status,
        204
    );
    let shown = ask(&router, "GET", "/contents/0ad/tags", "").await.body();
    assert_eq!(shown["tags"], json!(["game::strategy", "use::a/b"]));
    assert!(
        shown["updated_at"].as_str().unwrap() > "2024-01-01T00:02:00Z",
        "{shown}"
    );

    let body = r#"{"content": "new one", "title": "t", "section": "s", "tags": ["b", "a", "b"]}"#;
    let added = ask(&router, "POST", "/contents", body).await;
    assert_eq!(
        (added.status, &added.headers[header::LOCATION]),
        (201, &HeaderValue::from_static("/contents/new%20one"))
    );
    assert_eq!(added.body()["tags"], json!(["a", "b"]));
    assert_eq!(
        ask(&router, "GET", "/contents/new%20one", "").await.text,
        added.text
    );
    let shown = ask(&router, "GET", "/tags?limit=2", "").await.body();
    assert_eq!(
        shown["tags"],
        json!([{"tag": "a", "count": 1}, {"tag": "b", "count": 1}])
    );
}

//! `set` and `rollback`: what happens to the file and to the running proxy.

use super::place::{Place, Ran, closed_port};
use crate::harness::{Backend, Reply};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn set_edits_the_file_behind_a_link_and_keeps_everything_else() {
    let place = Place::new();
    let real = place.folder.path().join("real.toml");
    fs::rename(place.file(), &real).unwrap();
    symlink("real.toml", place.file()).unwrap();
    let before = place.text();

    let ran = place
        .run("set content-tags percent=42.82 shadow=10")
        .ends_with(0);
    let expected = before
        .replace(
            "percent = 50            # half",
            "percent = 42.82            # half",
        )
        .replace("{ percent = 70,", "{ percent = 10,");
    assert_eq!(place.text(), expected);
    assert!(place.file().is_symlink());
    for part in [
        "- percent = 50            # half",
        "+ percent = 42.82            # half",
    ] {
        assert!(ran.out.contains(part), "{}", ran.out);
    }
    assert_eq!(
        place
            .run("explain GET /contents/0ad/tags --output json")
            .json()["side"],
        "new"
    );
    place.run("set content-tags percent=42.81").ends_with(0);
    assert_eq!(
        place
            .run("explain GET /contents/0ad/tags --output json")
            .json()["side"],
        "old"
    );

    let edited = place.text();
    assert!(
        place
            .run("set content-tags percent=42.81")
            .ends_with(0)
            .out
            .contains("already")
    );
    let refused = place.run("set content-tags percent=1.005").ends_with(2);
    assert!(
        refused.err.contains("was not changed") && refused.err.contains("help"),
        "{}",
        refused.err
    );
    assert_eq!(place.text(), edited);
    assert_eq!(
        fs::read_dir(place.folder.path()).unwrap().count(),
        2,
        "no other file is left"
    );
}

#[test]
fn set_leaves_alone_what_it_can_not_read_as_text() {
    let place = Place::new();
    let mut latin = place.text().into_bytes();
    latin.extend(b"# caf\xe9\n");
    fs::write(place.file(), &latin).unwrap();
    let ran = place.run("set content-tags percent=7").ends_with(2);
    assert!(ran.err.contains("not UTF-8"), "{}", ran.err);
    assert_eq!(fs::read(place.file()).unwrap(), latin);

    let ran = place
        .run("set content-tags percent=7 --config absent.toml")
        .ends_with(2);
    assert!(ran.err.contains("can't be read"), "{}", ran.err);
}

#[test]
fn a_rollback_reaches_the_proxy_first_and_then_the_file() {
    let admin = Backend::start(|_| Reply::json(&json!({"generation": 1})));
    let place = Place::with_admin(admin.address());
    let before = place.text();
    let ran = Ran::new(
        "rollback",
        place
            .command(&["rollback", "--reason", "wrong\nprices"])
            .output()
            .unwrap(),
    )
    .ends_with(0);
    assert_eq!(
        place.text(),
        before.replace(
            "name = \"tags\"   # ours\n",
            "name = \"tags\"   # ours\nserve = \"old\"\n"
        )
    );
    let seen = admin.only_request();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("PUT", "/api/override")
    );
    assert_eq!(seen.header("content-type"), ["application/json"]);
    assert_eq!(seen.header("host"), [admin.address().to_string()]);
    let asked: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        asked,
        json!({"serve": "old", "route": null, "reason": "wrong prices"})
    );
    assert!(
        ran.out.contains("running proxy:") && ran.out.contains("file:"),
        "{}",
        ran.out
    );
}

#[test]
fn one_of_proxy_and_file_is_enough_for_a_rollback() {
    let admin = Backend::start(|_| Reply::json(&json!({"generation": 1, "durable": false})));
    let place = Place::with_admin(admin.address());
    place.write(
        "routes.toml",
        &format!("{}[[route]]\nbroken = true\n", place.text()),
    );
    let broken = place.text();
    let ran = place.run("rollback").ends_with(0);
    assert_eq!(
        place.text(),
        broken,
        "a file that no proxy would take is left alone"
    );
    assert!(
        ran.out.contains("restart would forget it") && ran.err.contains("file:"),
        "{}{}",
        ran.out,
        ran.err
    );

    admin.answer_with(|_| Reply::status(403));
    place.run("rollback").ends_with(5);

    let place = Place::new();
    let ran = place.run("rollback").ends_with(0);
    assert!(
        ran.err.contains("running proxy: no proxy can be reached"),
        "{}",
        ran.err
    );
    assert!(place.text().contains("serve = \"old\""));
    place
        .run(&format!(
            "rollback --config absent.toml --admin {}",
            closed_port()
        ))
        .ends_with(5);
}

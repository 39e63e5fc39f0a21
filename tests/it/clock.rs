//! The wall clock steps by an hour, forwards and back, under a running proxy: nothing that waits, expires or is counted notices.
//!
//! A library put before the system's answers for the clock of this one process; the machine's clock stays as it is.

use crate::harness::client::{admin, get};
use crate::harness::metrics::Page;
use crate::harness::program::{Program, crossfade};
use crate::harness::{Backend, Client, Gate, Reply, Setup, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Adds what stands in the file `STEP` to the wall clock, and to nothing else.
const STEPPED: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (result == 0 && id == CLOCK_REALTIME) {
        FILE *file = fopen(getenv("STEP"), "r");
        long seconds = 0;
        if (file) {
            if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
            fclose(file);
        }
        now->tv_sec += seconds;
    }
    return result;
}
"#;

fn library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("step.c"), folder.join("step.so"));
    fs::write(&source, STEPPED).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(built.success());
    library
}

/// Seconds by which a time of the proxy differs from the one here.
fn ahead(at: &Value) -> f64 {
    let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
    at.duration_since(jiff::Timestamp::now()).as_secs_f64()
}

#[test]
fn an_hour_forwards_or_back_changes_nothing_but_the_times_that_are_shown() {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |seen| {
        if seen.target == "/slow" {
            Reply::text("late").after(&opened)
        } else {
            Reply::text("ok")
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let step = folder.path().join("step");
    fs::write(&step, "0").unwrap();
    let patient = "timeout = \"10m\"";
    let setup = Setup::both(&backend).workers(1);
    let text = setup.set("old", patient).set("new", patient).text();
    let file = folder.path().join("routes.toml");
    fs::write(&file, &text).unwrap();
    let mut command = crossfade(folder.path(), &["run"]);
    command
        .env("LD_PRELOAD", library(folder.path()))
        .env("STEP", &step);
    let mut program = Program::start(command);
    let (address, api) = program.addresses();

    let mut kept = Client::connect(address);
    assert_eq!(kept.get("/").text(), "ok");
    let mut slow = Client::connect(address);
    slow.send_request("GET", "/slow", &[], b"");
    wait_until("the slow one waits", || backend.count() == 2);
    for (generation, seconds) in [(2, -3600.0), (3, 3600.0)] {
        let draft = folder.path().join("draft");
        fs::write(&draft, seconds.to_string()).unwrap();
        fs::rename(&draft, &step).unwrap();
        // The step is seen: times that are shown have it.
        let body = json!({"serve": "old", "route": null, "reason": "a step"});
        let set = admin(api, "PUT", "/api/override", Some(&body)).json();
        let difference = ahead(&set["override"]["at"]);
        assert!((difference - seconds).abs() < 60.0, "{difference}");
        // A connection that was kept is neither too old nor idle for too long.
        for _ in 0..3 {
            assert_eq!(kept.get("/").text(), "ok");
        }
        assert_eq!(get(address, "/").text(), "ok");
        // Edits are followed, and tell the new time.
        fs::write(&draft, format!("# {seconds}\n{text}")).unwrap();
        fs::rename(&draft, &file).unwrap();
        let config = || admin(api, "GET", "/api/config", None).json();
        wait_until("the edit is in force", || {
            config()["generation"] == generation
        });
        let difference = ahead(&config()["applied_at"]);
        assert!((difference - seconds).abs() < 60.0, "{difference}");
    }
    // Nor was a connection to the side, of which there are two: one is busy.
    assert_eq!(backend.accepted(), 2);
    // A request that waited through both steps is not late, and counts with the time that it took.
    assert!(!slow.has_news());
    gate.open();
    let answer = slow.answer("GET");
    assert_eq!((answer.status, answer.text()), (200, "late"));
    let metrics = || Page::parse(admin(api, "GET", "/metrics", None).text());
    wait_until("all are counted", || {
        let answered = metrics().sum("crossfade_requests_total", &[("code_class", "2xx")]);
        answered == backend.count() as f64
    });
    let page = metrics();
    let spent = page.sum("crossfade_request_duration_seconds_sum", &[]);
    assert!((0.0..600.0).contains(&spent), "{spent}");
    assert_eq!(page.sum("crossfade_upstream_errors_total", &[]), 0.0);
}

//! routes.toml edited while the proxy runs, in every way in which editors and Kubernetes replace a file.
//!
//! A file that stands half-written for longer than the proxy waits is read as it stands; here each half is invalid, and changes
//! nothing. A half that is valid by itself can't be told from a whole file: whoever writes slowly renames the file into place.

mod load;
mod refused;
mod swaps;

use crate::harness::{Backend, Proxy, Setup, wait_until};
use crossfade::app;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Old and new, each of which answers with its name.
struct Sides {
    old: Backend,
    new: Backend,
}

impl Sides {
    fn start() -> Self {
        Self {
            old: Backend::text("old"),
            new: Backend::text("new"),
        }
    }

    /// Two routes whose switches say the same.
    fn setup(&self, serve: &str) -> Setup {
        let route =
            |name| format!("name = \"{name}\"\nmatch = \"GET /{name}\"\nserve = \"{serve}\"");
        Setup::new(&self.old, &self.new)
            .route(&route("a"))
            .route(&route("b"))
    }
}

/// Waits until an edit is in force, and checks that both routes follow it.
#[track_caller]
fn in_force(proxy: &Proxy, generation: u64, serve: &str) {
    wait_until("the edit is in force", || proxy.generation() >= generation);
    assert_eq!(proxy.generation(), generation);
    assert_eq!(
        [proxy.get("/a").text(), proxy.get("/b").text()],
        [serve, serve]
    );
}

fn reloads(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("crossfade_config_reloads_total", &[("result", result)])
}

/// Edits a file four times in some way; each edit must be put in force once, and the watch must follow.
#[track_caller]
fn check(place: impl FnOnce(&Path, &str) -> PathBuf, edit: impl Fn(&Proxy, &str, u64)) -> f64 {
    let sides = Sides::start();
    let proxy = sides.setup("old").start_with(place);
    in_force(&proxy, 1, "old");
    for generation in 2..=5 {
        let serve = if generation % 2 == 0 { "new" } else { "old" };
        edit(&proxy, &sides.setup(serve).text(), generation);
        in_force(&proxy, generation, serve);
    }
    // The poll passes over a text that it knows, so only the watch can notice that the same one was written again.
    let before = reloads(&proxy, "unchanged");
    edit(&proxy, &sides.setup("old").text(), 7);
    wait_until("the watch tells of it", || {
        reloads(&proxy, "unchanged") > before
    });
    in_force(&proxy, 5, "old");
    assert_eq!(reloads(&proxy, "applied"), 5.0);
    reloads(&proxy, "rejected")
}

fn in_the_folder(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("routes.toml");
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_file_written_in_place() {
    check(in_the_folder, |proxy, text, _| {
        fs::write(proxy.file(), text).unwrap();
    });
}

#[test]
fn a_file_renamed_over_it() {
    let rejected = check(in_the_folder, |proxy, text, _| proxy.write(text));
    assert_eq!(rejected, 0.0, "a rename is never seen half done");
}

#[test]
fn a_file_deleted_and_made_anew() {
    check(in_the_folder, |proxy, text, generation| {
        fs::remove_file(proxy.file()).unwrap();
        if generation == 3 {
            // An editor that takes its time: the proxy has seen that there is no file.
            wait_until("the loss is seen", || reloads(proxy, "rejected") > 0.0);
            assert_eq!(proxy.generation(), 2);
        }
        fs::write(proxy.file(), text).unwrap();
    });
}

#[test]
fn a_file_moved_away_and_made_anew() {
    check(in_the_folder, |proxy, text, _| {
        fs::rename(proxy.file(), proxy.folder().join("routes.toml~")).unwrap();
        fs::write(proxy.file(), text).unwrap();
    });
}

/// How the kubelet publishes a ConfigMap: `routes.toml -> ..data/routes.toml`, `..data -> ..TIME`, and only `..data` is replaced.
#[test]
fn a_folder_swapped_as_kubernetes_does() {
    let publish = |folder: &Path, time: &str, text: &str| {
        fs::create_dir(folder.join(time)).unwrap();
        fs::write(folder.join(time).join("routes.toml"), text).unwrap();
        symlink(time, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    let place = |folder: &Path, text: &str| {
        publish(folder, "..2024_01_01_00_00_01.1", text);
        let file = folder.join("routes.toml");
        symlink("..data/routes.toml", &file).unwrap();
        file
    };
    let rejected = check(place, |proxy, text, generation| {
        let before = fs::read_link(proxy.folder().join("..data")).unwrap();
        publish(
            proxy.folder(),
            &format!("..2024_01_01_00_00_0{generation}.1"),
            text,
        );
        // The end of the old file is news too: without it, that of the link must do.
        if generation % 2 == 0 {
            fs::remove_dir_all(proxy.folder().join(before)).unwrap();
        }
    });
    assert_eq!(rejected, 0.0, "a swap is never seen half done");
}

#[test]
fn a_link_to_a_file_elsewhere() {
    let place = |folder: &Path, text: &str| {
        fs::create_dir(folder.join("elsewhere")).unwrap();
        fs::write(folder.join("elsewhere/settings"), text).unwrap();
        let file = folder.join("routes.toml");
        symlink("elsewhere/settings", &file).unwrap();
        file
    };
    check(place, |proxy, text, _| {
        fs::write(proxy.folder().join("elsewhere/settings"), text).unwrap();
    });
}

/// The watch is on a folder that has left: only looking at the file now and then finds the new one, and the watch moves there.
#[test]
fn a_folder_replaced_by_another() {
    let place = |folder: &Path, text: &str| {
        fs::create_dir(folder.join("settings")).unwrap();
        in_the_folder(&folder.join("settings"), text)
    };
    check(place, |proxy, text, generation| {
        let folder = proxy.folder().join("settings");
        if generation % 2 == 1 {
            return fs::write(proxy.file(), text).unwrap();
        }
        fs::rename(&folder, proxy.folder().join(format!("left-{generation}"))).unwrap();
        let next = proxy.folder().join("next");
        fs::create_dir(&next).unwrap();
        in_the_folder(&next, text);
        fs::rename(next, folder).unwrap();
    });
}

/// Written in parts with all the time in the world between them. The file ends with what no file can lack, so every part
/// before the last leaves it invalid.
#[test]
fn a_half_written_file_is_never_in_force() {
    let sides = Sides::start();
    let proxy = sides.setup("old").start();
    let [head, routes] = {
        let text = sides.setup("new").text();
        let at = text.find("[[route]]").unwrap();
        [text[..at].to_owned(), text[at..].to_owned()]
    };
    let text = routes + &head;
    let head_at = text.find("[migration]").unwrap();
    let url_at = text.rfind("url = ").unwrap();
    let whole = text.trim_end().len();
    let ends = [20, head_at / 2, head_at, url_at, url_at + 12, whole - 1];

    let mut file = fs::File::create(proxy.file()).unwrap();
    let mut written = 0;
    for end in ends {
        let half = &text.as_bytes()[..end];
        file.write_all(&half[written..]).unwrap();
        written = end;
        let expected = app::check(&proxy.file(), Ok(half.to_vec()));
        assert!(expected.settings.is_none());
        let expected = serde_json::to_value(expected.problems).unwrap();
        wait_until("the half is read", || {
            proxy.admin_json("/api/config")["last_error"]["problems"] == expected
        });
        in_force(&proxy, 1, "old");
    }
    file.write_all(&text.as_bytes()[written..]).unwrap();
    drop(file);
    in_force(&proxy, 2, "new");
    assert!(proxy.admin_json("/api/config")["last_error"].is_null());
}

#[test]
fn asked_to_read_again_it_counts_what_did_not_change() {
    let sides = Sides::start();
    let proxy = sides.setup("old").start();
    let before = proxy.admin_json("/api/config");
    proxy.running().reload();
    wait_until("the file is read again", || {
        reloads(&proxy, "unchanged") == 1.0
    });
    let text = proxy.text();
    proxy.write(&text);
    wait_until("the same text is seen", || {
        reloads(&proxy, "unchanged") == 2.0
    });
    assert_eq!(proxy.admin_json("/api/config"), before);
    assert_eq!(
        (reloads(&proxy, "applied"), reloads(&proxy, "rejected")),
        (1.0, 0.0)
    );
}

#[test]
fn a_comment_is_an_edit_that_moves_nothing() {
    let sides = Sides::start();
    let proxy = sides.setup("old").start();
    let text = format!("# a word\n{}", proxy.text());
    proxy.write(&text);
    in_force(&proxy, 2, "old");
    assert_eq!(
        proxy.admin_json("/api/config")["sha256"],
        crossfade::config::sha256(text.as_bytes())
    );
}

/// What needs a restart is told, and waits; the rest of the same edit acts.
#[test]
fn four_keys_wait_for_a_restart() {
    let sides = Sides::start();
    let mut proxy = sides.setup("old").workers(1).start();
    let before = proxy.text();
    let mut after = sides.setup("new").workers(4).text();
    for (from, to) in [
        ("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.2:0\""),
        ("admin = \"127.0.0.1:0\"", "admin = \"127.0.0.3:0\""),
        ("state_dir = \"state\"", "state_dir = \"elsewhere\""),
    ] {
        assert!(after.contains(from));
        after = after.replace(from, to);
    }
    proxy.write(&after);
    in_force(&proxy, 2, "new");
    let config = proxy.admin_json("/api/config");
    assert_eq!(
        config["restart_required"],
        serde_json::json!([
            "server.listen",
            "server.admin",
            "server.workers",
            "server.state_dir"
        ])
    );
    assert!(config["last_error"].is_null());
    let kept = proxy.folder().join("state/last-good.toml");
    wait_until("the copy is kept where the process began", || {
        fs::read_to_string(&kept).is_ok_and(|text| text == after)
    });
    assert!(!proxy.folder().join("elsewhere").exists());

    proxy.write(&before);
    in_force(&proxy, 3, "old");
    assert_eq!(
        proxy.admin_json("/api/config")["restart_required"],
        serde_json::json!([])
    );

    proxy.write(&after);
    in_force(&proxy, 4, "new");
    proxy.restart();
    let addresses = [proxy.address(), proxy.admin_address()];
    assert_eq!(
        addresses.map(|address| address.ip().to_string()),
        ["127.0.0.2", "127.0.0.3"]
    );
    in_force(&proxy, 1, "new");
    assert_eq!(
        proxy.admin_json("/api/config")["restart_required"],
        serde_json::json!([])
    );
}

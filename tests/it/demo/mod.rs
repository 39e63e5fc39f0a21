//! The demo: what the proxy reports of its two services is true, and its processes live and end as they should.

mod process;
mod reports;
mod screen;
mod truth;

use crossfade::demo::settings::SAMPLE;
use std::net::SocketAddr;

/// The sample with the addresses of a test.
pub(crate) fn sample(old: SocketAddr, new: SocketAddr, listen: &str, admin: &str) -> String {
    let mut text = SAMPLE.to_owned();
    for (from, to) in [
        ("\"http://127.0.0.1:7001\"", format!("\"http://{old}\"")),
        ("\"http://127.0.0.1:7002\"", format!("\"http://{new}\"")),
        ("\"127.0.0.1:8080\"", format!("\"{listen}\"")),
        ("\"127.0.0.1:9900\"", format!("\"{admin}\"")),
    ] {
        assert_eq!(
            text.matches(from).count(),
            1,
            "the sample names {from} once"
        );
        text = text.replace(from, &to);
    }
    text
}

//! `[migration]` and `[server]`.

use crate::config::address;
use crate::config::listen;
use crate::config::problem::Fault;
use crate::config::scalar;
use crate::config::section::{Found, Section};
use crate::config::settings::{Listen, ListenAddress, Migration, Server};
use crate::config::walk::{Item, Sink};
use crate::route::decide::Serve;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The values of `serve`.
pub(super) const SERVE: [(&str, Serve); 3] = [
    ("old", Serve::Old),
    ("split", Serve::Split),
    ("new", Serve::New),
];

/// How long a stop waits for what is open, unless the file says otherwise.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// More threads than this are a slip of the pen.
const MOST_WORKERS: u64 = 1024;

/// Reads `[migration]`.
pub(super) fn migration(section: &Section<'_>, sink: &mut Sink<'_>) -> Option<Migration> {
    let name = section.require(sink, "name", scalar::salt);
    let serve = section.read(sink, "serve", |item, sink| item.one_of(sink, &SERVE));
    let shadow = section.read(sink, "shadow", Item::bool);
    Some(Migration {
        name: name.good()?,
        serve: serve.good().unwrap_or_default(),
        shadow: shadow.good().unwrap_or(true),
    })
}

/// Reads `[server]`. Paths in it are relative to the file's directory.
pub(super) fn server(section: &Section<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Server {
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let path =
        |item: &Item<'_>, sink: &mut Sink<'_>| scalar::path(item, sink).map(|p| file_dir.join(p));
    let listen = section.read(sink, "listen", |item, sink| {
        listen::listen(item, sink, file_dir)
    });
    let admin = section.read(sink, "admin", address::socket);
    let workers = section.read(sink, "workers", |item, sink| {
        scalar::count(item, sink, 0..=MOST_WORKERS)
    });
    let state_dir = section.read(sink, "state_dir", path);
    let debug_headers = section.read(sink, "debug_headers", Item::bool);
    let trusted_proxies = section.read(sink, "trusted_proxies", |item, sink| {
        item.texts(sink, "networks, as in [\"10.0.0.0/8\"]", address::network)
    });
    let admin_hosts = section.read(sink, "admin_hosts", |item, sink| {
        item.texts(
            sink,
            "host names, as in [\"admin.example.org\"]",
            address::authority,
        )
    });
    let token = section.read(sink, "admin_token_file", path);
    let drain_delay = section.read(sink, "drain_delay", scalar::delay);
    let drain_timeout = section.read(sink, "drain_timeout", scalar::delay);
    let no_token = token.is_absent() && sink.absence_is_sure();
    check_admin(section, sink, &admin, no_token);
    // Nothing clashes with an address that is broken; that it is was told.
    let listen = match listen {
        Found::Absent => vec![Listen::new(ListenAddress::Tcp(local(8080)))],
        Found::Broken => Vec::new(),
        Found::Good(addresses) => addresses,
    };
    let admin = match admin {
        Found::Absent => local(9900),
        Found::Broken => local(0),
        Found::Good(address) => address,
    };
    let server = Server {
        listen,
        admin,
        workers: workers.good().unwrap_or(0),
        state_dir: state_dir.good().unwrap_or_else(|| file_dir.join("state")),
        debug_headers: debug_headers.good().unwrap_or(false),
        trusted_proxies: trusted_proxies.good().unwrap_or_default(),
        admin_hosts: admin_hosts.good().unwrap_or_default(),
        admin_token_file: token.good(),
        drain_delay: drain_delay.good().unwrap_or_default(),
        drain_timeout: drain_timeout.good().unwrap_or(DRAIN_TIMEOUT),
    };
    check_clash(section, sink, &server);
    server
}

/// An admin API that others can reach wants a token.
fn check_admin(
    section: &Section<'_>,
    sink: &mut Sink<'_>,
    admin: &Found<SocketAddr>,
    no_token: bool,
) {
    if let (Found::Good(address), true, Some(item)) = (admin, no_token, section.item("admin"))
        && !address.ip().to_canonical().is_loopback()
    {
        let message = format!(
            "the admin API on {address} can be reached from other machines and has no token"
        );
        let hint = "add `admin_token_file = \"FILE\"` to [server], or listen on 127.0.0.1";
        item.report(sink, Fault::error("admin-open", message).hint(hint));
    }
}

/// The admin API listens on an address of its own, given or by default.
fn check_clash(section: &Section<'_>, sink: &mut Sink<'_>, server: &Server) {
    let mut addresses = server.listen.iter().filter_map(|listen| listen.tcp());
    let Some(taken) = addresses.find(|address| address::clash(address, &server.admin)) else {
        return;
    };
    let given = section.item("admin").or_else(|| section.item("listen"));
    if let Some(item) = given {
        let message = format!(
            "`listen` ({taken}) and `admin` ({}) are the same address",
            server.admin
        );
        item.report(
            sink,
            Fault::error("same-address", message).hint("give the admin API a port of its own"),
        );
    }
}

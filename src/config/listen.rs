//! `server.listen`: where clients connect, as a text, a table, or a list of them.

use crate::config::address;
use crate::config::problem::{Fault, shorten};
use crate::config::scalar;
use crate::config::section::{Found, Section};
use crate::config::settings::{CertificateFiles, Listen, ListenAddress, ListenTls};
use crate::config::walk::{Item, Sink};
use crate::config::words::{CERTIFICATE, LISTEN, TLS};
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// One address, or a list of them that can all listen. Paths are relative to `file_dir`.
pub(super) fn listen(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<Vec<Listen>> {
    let DeValue::Array(array) = item.value else {
        return one(item, sink, file_dir).map(|listen| vec![listen]);
    };
    if array.is_empty() {
        let fault = Fault::error("bad-value", "`listen` is an empty list");
        item.report(
            sink,
            fault.hint("name at least one address, as in \"127.0.0.1:8080\""),
        );
        return None;
    }
    let mut good: Vec<Listen> = Vec::new();
    let mut all = true;
    for item in item.elements(array) {
        let Some(listen) = one(&item, sink, file_dir) else {
            all = false;
            continue;
        };
        if good
            .iter()
            .any(|other| clash(&other.address, &listen.address))
        {
            let fault = Fault::error(
                "same-address",
                format!(
                    "{} is taken by an earlier address of the list",
                    listen.address
                ),
            );
            item.report(sink, fault.hint("name each address and port once"));
            all = false;
        }
        good.push(listen);
    }
    all.then_some(good)
}

fn clash(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => address::clash(one, other),
        // Components are compared: `./x` is `x`.
        (ListenAddress::Unix(one), ListenAddress::Unix(other)) => {
            one.components().eq(other.components())
        }
        (ListenAddress::Tcp(_), ListenAddress::Unix(_))
        | (ListenAddress::Unix(_), ListenAddress::Tcp(_)) => false,
    }
}

/// A text means a table with nothing but the address.
fn one(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<Listen> {
    if !matches!(item.value, DeValue::Table(_)) {
        return address(item, sink, file_dir).map(Listen::new);
    }
    let section = Section::of(item, &LISTEN, sink)?;
    let address = section.require(sink, "address", |item, sink| address(item, sink, file_dir));
    let is_tcp = matches!(address, Found::Good(ListenAddress::Tcp(_)));
    let mode = section.read(sink, "mode", |item, sink| mode(item, sink, is_tcp));
    let tls = section.read(sink, "tls", |item, sink| tls(item, sink, file_dir));
    let is_inside_tls = !tls.is_absent();
    let h2c = section.read(sink, "h2c", |item, sink| h2c(item, sink, is_inside_tls));
    let proxy_protocol = section.read(sink, "proxy_protocol", Item::bool);
    let mut listen = Listen::new(address.good()?);
    listen.h2c = h2c.good().unwrap_or(false);
    listen.proxy_protocol = proxy_protocol.good().unwrap_or(false);
    listen.tls = match tls {
        Found::Absent => None,
        Found::Broken => return None,
        Found::Good(tls) => Some(tls),
    };
    if let Some(mode) = mode.good() {
        listen.mode = mode;
    }
    Some(listen)
}

/// Inside TLS a client says by itself which protocol it speaks.
fn h2c(item: &Item<'_>, sink: &mut Sink<'_>, is_inside_tls: bool) -> Option<bool> {
    let wanted = item.bool(sink)?;
    if wanted && is_inside_tls {
        let fault = Fault::error("bad-value", "`h2c` is HTTP/2 without TLS");
        item.report(
            sink,
            fault.hint("remove it: with `tls` clients may speak HTTP/2 anyway"),
        );
        return None;
    }
    Some(wanted)
}

fn tls(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<ListenTls> {
    let section = Section::of(item, &TLS, sink)?;
    let certificates = section.require(sink, "certificates", |item, sink| {
        let list = item.array(
            sink,
            "tables, as in [{ cert = \"a.pem\", key = \"a.key\" }]",
        )?;
        if list.is_empty() {
            let fault = Fault::error("bad-value", "`certificates` is an empty list");
            item.report(
                sink,
                fault.hint("name at least one, as in [{ cert = \"a.pem\", key = \"a.key\" }]"),
            );
            return None;
        }
        let read: Vec<_> = list
            .iter()
            .map(|item| certificate(item, sink, file_dir))
            .collect();
        read.into_iter().collect()
    });
    let client_ca = section.read(sink, "client_ca", |item, sink| file(item, sink, file_dir));
    Some(ListenTls {
        certificates: certificates.good()?,
        client_ca: client_ca.good(),
    })
}

fn certificate(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<CertificateFiles> {
    let section = Section::of(item, &CERTIFICATE, sink)?;
    let cert = section.require(sink, "cert", |item, sink| file(item, sink, file_dir));
    let key = section.require(sink, "key", |item, sink| file(item, sink, file_dir));
    Some(CertificateFiles {
        cert: cert.good()?,
        key: key.good()?,
    })
}

fn file(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<PathBuf> {
    scalar::path(item, sink).map(|path| file_dir.join(path))
}

/// An address with a port, or `unix:` and a path.
fn address(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<ListenAddress> {
    let text = item.text(sink)?;
    let Some(path) = text.strip_prefix("unix:") else {
        return address::socket(item, sink).map(ListenAddress::Tcp);
    };
    match address::unix_path(path, file_dir) {
        Ok(path) => Some(ListenAddress::Unix(path)),
        Err(fault) => {
            item.report(sink, fault);
            None
        }
    }
}

/// Permissions as `chmod` takes them: 0 and three octal digits.
fn mode(item: &Item<'_>, sink: &mut Sink<'_>, is_tcp: bool) -> Option<u32> {
    let text = item.text(sink)?;
    let digits = text.strip_prefix('0').filter(|digits| digits.len() == 3);
    let mode = digits
        .filter(|digits| digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')))
        .and_then(|digits| u32::from_str_radix(digits, 8).ok())
        .filter(|mode| *mode != 0);
    let fault = match mode {
        Some(mode) if !is_tcp => return Some(mode),
        Some(_) => Fault::error("bad-value", "only a unix: address has a `mode`")
            .hint("remove it: a port has no permissions"),
        None => Fault::error(
            "bad-value",
            format!("`mode` can't be \"{}\"", shorten(text)),
        )
        .hint("write 0 and three octal digits, as in \"0660\""),
    };
    item.report(sink, fault);
    None
}

//! `tls` of a side: whom it must prove to be, and what we prove to it.

use crate::config::problem::{Fault, shorten};
use crate::config::scalar;
use crate::config::section::{Found, Section};
use crate::config::settings::{CertificateFiles, SideTls, Url};
use crate::config::walk::{Item, Sink};
use crate::config::words::SIDE_TLS;
use rustls::pki_types::ServerName;
use std::path::{Path, PathBuf};

/// Reads `tls` of a side with these urls (`None`: they are broken). Paths in it are relative to `file_dir`.
pub(super) fn side_tls(
    section: &Section<'_>,
    sink: &mut Sink<'_>,
    file_dir: &Path,
    urls: Option<&[Url]>,
) -> Found<SideTls> {
    section.read(sink, "tls", |item, sink| {
        let tls = table(item, sink, file_dir);
        let is_used = |urls: &[Url]| urls.iter().any(|url| matches!(url, Url::Https(_)));
        if urls.is_none_or(is_used) {
            return tls;
        }
        let fault = Fault::error("bad-value", "`tls` is for a url that begins with https://");
        let hint = "write https:// in the url, or remove `tls`: the side is spoken to without it";
        item.report(sink, fault.hint(hint));
        None
    })
}

fn table(item: &Item<'_>, sink: &mut Sink<'_>, file_dir: &Path) -> Option<SideTls> {
    let section = Section::of(item, &SIDE_TLS, sink)?;
    let file = |item: &Item<'_>, sink: &mut Sink<'_>| -> Option<PathBuf> {
        scalar::path(item, sink).map(|path| file_dir.join(path))
    };
    let ca = section.read(sink, "ca", file);
    let has_identity = section.item("cert").is_some() || section.item("key").is_some();
    let identity = has_identity.then(|| {
        let cert = section.require(sink, "cert", file).good();
        let key = section.require(sink, "key", file).good();
        Some(CertificateFiles {
            cert: cert?,
            key: key?,
        })
    });
    let server_name = section.read(sink, "server_name", server_name);
    Some(SideTls {
        ca: whole(ca)?,
        identity: match identity {
            None => None,
            Some(identity) => Some(identity?),
        },
        server_name: whole(server_name)?,
    })
}

/// What is broken leaves no settings: they would prove something else than what the file asks for.
fn whole<T>(found: Found<T>) -> Option<Option<T>> {
    match found {
        Found::Absent => Some(None),
        Found::Broken => None,
        Found::Good(value) => Some(Some(value)),
    }
}

/// What a certificate is for: a name, or an address.
fn server_name(item: &Item<'_>, sink: &mut Sink<'_>) -> Option<String> {
    let text = item.text(sink)?;
    if ServerName::try_from(text).is_ok() {
        return Some(text.to_owned());
    }
    let message = format!("\"{}\" is no name of a server", shorten(text));
    let fault = Fault::error("bad-host", message);
    let hint = "write a name without port, as in \"tags.internal\", or an address";
    item.report(sink, fault.hint(hint));
    None
}

//! TLS with a side: whom it must prove to be, and what we prove to it.
//!
//! Invariant: a side behind `https` is spoken to inside TLS and after it has proved its name, or not at all. What its files hold may be replaced at
//! any time; connections that stand keep what they have. Sessions are resumed only within one side, and only as long as what was proved is still in force.

use crate::config::settings::SideTls;
use crate::store::present;
use crate::upstream::pem::{RootsError, certificates, roots};
use arc_swap::ArcSwapOption;
use rustls::ClientConfig;
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ConfigBuilder};
use rustls_platform_verifier::BuilderVerifierExt;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is spoken inside.
const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";

/// A side's TLS.
#[derive(Debug)]
pub struct Tls {
    files: SideTls,
    /// What is spoken inside.
    protocol: &'static [u8],
    /// None while the files can't be used, though they could when the settings were read.
    config: ArcSwapOption<ClientConfig>,
}

/// Why a side's TLS can't be used.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` can't be used{}", of(path.as_deref()))]
pub struct TlsError {
    /// The key of the side's `tls` that is to blame.
    pub key: &'static str,
    /// The file that it names.
    pub path: Option<PathBuf>,
    /// What is wrong.
    #[source]
    pub cause: TlsCause,
}

/// What is wrong with a file of a side's TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsCause {
    /// It can't be read.
    #[error("the file can't be read")]
    Read(#[source] io::Error),
    /// It has no certificates.
    #[error("the file holds no certificates in PEM")]
    NoCertificates(#[source] Option<pem::Error>),
    /// It has no key.
    #[error("the file holds no private key in PEM")]
    NoKey(#[source] pem::Error),
    /// A certificate and a key that don't belong together, or are of a kind that is not supported.
    #[error("the certificate and its key can't be used together")]
    Pair(#[source] rustls::Error),
    /// A certificate that nothing can be judged by.
    #[error("the file has a certificate that can't be used")]
    Root(#[source] rustls::Error),
    /// The machine has no roots.
    #[error("this machine has no roots to judge certificates by")]
    System(#[source] rustls::Error),
    /// The library refuses.
    #[error("TLS can't be set up")]
    Library(#[source] rustls::Error),
}

fn of(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(": {}", path.display()))
}

/// Why no connection stands, though there was somebody.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("what listens there does not speak TLS")]
    NoTls(#[source] io::Error),
    #[error("the side refused our certificate, or that we have none")]
    Certificate(#[source] Box<dyn Error + Send + Sync>),
    #[error("the side does not agree to HTTP/2 (ALPN), and `protocol` asks for it")]
    NoHttp2,
    #[error("the files of `tls` can't be used")]
    Files,
}

impl Tls {
    /// TLS with what the files hold. Where that can't be used since the settings were read, there is no connection until it can.
    pub(super) fn new(files: &SideTls, is_http_2: bool) -> Self {
        let protocol = if is_http_2 { HTTP_2 } else { HTTP_1 };
        Self {
            files: files.clone(),
            protocol,
            config: ArcSwapOption::from(config(files, protocol).ok().map(Arc::new)),
        }
    }

    /// Whether files can be used.
    ///
    /// # Errors
    /// [`TlsError`] says why not.
    pub fn check(files: &SideTls) -> Result<(), TlsError> {
        config(files, HTTP_1).map(drop)
    }

    /// Takes what the files hold now, for connections to come.
    ///
    /// # Errors
    /// [`TlsError`]; what was in force stays so.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.config
            .store(Some(Arc::new(config(&self.files, self.protocol)?)));
        Ok(())
    }

    /// The files that it is made of.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let SideTls { ca, identity, .. } = &self.files;
        let pair = identity.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        ca.iter().chain(pair)
    }

    /// What the certificate of an endpoint at this host must be for. Both were looked at when the settings were read.
    pub(super) fn name_at(&self, host: &str) -> ServerName<'static> {
        let host = host.trim_matches(['[', ']']);
        let name = self.files.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).expect("the name was looked at before")
    }

    /// The handshake with whoever must have this name.
    pub(super) async fn shake_hands(
        &self,
        name: &ServerName<'static>,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = self.config.load_full();
        let config = config.ok_or_else(|| io::Error::other(Refusal::Files))?;
        let connector = TlsConnector::from(config);
        let shaken = connector.connect(name.clone(), stream).await;
        let stream = shaken.map_err(failed)?;
        let agreed = stream.get_ref().1.alpn_protocol();
        // Without a word of it HTTP/1.1 is spoken.
        if self.protocol == HTTP_2 && agreed != Some(HTTP_2) {
            return Err(io::Error::other(Refusal::NoHttp2));
        }
        Ok(stream)
    }
}

fn failed(error: io::Error) -> io::Error {
    let kind = error.kind();
    let refusal = match cause(&error) {
        Some(rustls::Error::InvalidMessage(_)) => Refusal::NoTls(error),
        _ => Refusal::Handshake(error),
    };
    io::Error::new(kind, refusal)
}

/// Whether somebody was there to shake hands with.
pub(super) fn is_handshake(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Refusal>())
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether a connection broke because the side refused our certificate: in TLS 1.3 it says so only after the handshake. It has answered nothing then.
fn is_about_certificate(error: &io::Error) -> bool {
    use AlertDescription as Alert;
    let Some(rustls::Error::AlertReceived(alert)) = cause(error) else {
        return false;
    };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

/// The failure to connect that an error is in truth, if the side has refused our certificate.
pub(super) fn as_refusal<E: Error + Send + Sync + 'static>(error: E) -> Result<io::Error, E> {
    let mut next: Option<&(dyn Error + 'static)> = Some(&error);
    let mut refused = false;
    while let Some(error) = next {
        refused |= error.downcast_ref().is_some_and(is_about_certificate);
        next = error.source();
    }
    if refused {
        Ok(io::Error::other(Refusal::Certificate(Box::new(error))))
    } else {
        Err(error)
    }
}

fn config(files: &SideTls, protocol: &[u8]) -> Result<ClientConfig, TlsError> {
    let builder = judge(files)?;
    let mut config = match &files.identity {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = read("cert", &pair.cert)?;
            let chain = certificates(&chain)
                .map_err(|error| blame("cert", &pair.cert, TlsCause::NoCertificates(error)))?;
            let key = PrivateKeyDer::from_pem_slice(&read("key", &pair.key)?)
                .map_err(|error| blame("key", &pair.key, TlsCause::NoKey(error)))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| blame("cert", &pair.cert, TlsCause::Pair(error)))?
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// Roots of our own, or those of the machine.
fn judge(files: &SideTls) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let general = |cause| TlsError {
        key: "ca",
        path: None,
        cause,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| general(TlsCause::Library(error)))?;
    match &files.ca {
        None => builder
            .with_platform_verifier()
            .map_err(|error| general(TlsCause::System(error))),
        Some(path) => {
            let roots = roots(&read("ca", path)?).map_err(|error| {
                let cause = match error {
                    RootsError::None(error) => TlsCause::NoCertificates(error),
                    RootsError::Unusable(error) => TlsCause::Root(error),
                };
                blame("ca", path, cause)
            })?;
            Ok(builder.with_root_certificates(roots))
        }
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    present(path).map_err(|error| blame(key, path, TlsCause::Read(error)))
}

fn blame(key: &'static str, path: &Path, cause: TlsCause) -> TlsError {
    TlsError {
        key,
        path: Some(path.to_owned()),
        cause,
    }
}

//! Certificates made for a test, and clients that speak TLS.

use super::wire::Wire;
use super::{Client, PATIENCE};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// Somebody who signs certificates.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        roots
    }

    /// A certificate for these names.
    pub(crate) fn sign(&self, names: &[&str]) -> Identity {
        self.sign_as(names, |_| ())
    }

    /// One whose time is over.
    pub(crate) fn sign_expired(&self, names: &[&str]) -> Identity {
        self.sign_as(names, |params| params.not_after = date_time_ymd(2000, 1, 1))
    }

    fn sign_as(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// How a client that believes this authority speaks, with what it offers inside.
    pub(crate) fn client(&self, identity: Option<&Identity>, protocols: &[&str]) -> ClientConfig {
        let roots = self.roots();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::from_pem_slice(identity.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        config
    }
}

/// How a server speaks that shows this identity, wants certificates of that authority if there is one, and takes these protocols.
pub(crate) fn server(
    identity: &Identity,
    clients: Option<&Authority>,
    protocols: &[&str],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = Arc::new(authority.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(vec![identity.der()], key).unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().into())
        .collect();
    config
}

impl Identity {
    /// Puts both files where a listener names them, by renaming.
    pub(crate) fn place(&self, folder: &Path, name: &str) {
        for (ending, text) in [("pem", &self.cert), ("key", &self.key)] {
            let draft = folder.join(format!(".{name}.{ending}.draft"));
            std::fs::write(&draft, text).unwrap();
            std::fs::rename(draft, folder.join(format!("{name}.{ending}"))).unwrap();
        }
    }

    /// The certificate as it is sent.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

/// A connection inside TLS, its handshake done.
pub(crate) type Secured = Box<StreamOwned<ClientConnection, TcpStream>>;

/// Connects and shakes hands, or says why that failed.
pub(crate) fn connect(
    address: SocketAddr,
    name: &str,
    config: ClientConfig,
) -> io::Result<Secured> {
    shake_hands(TcpStream::connect(address)?, name, config)
}

/// Shakes hands over a connection that stands.
pub(crate) fn shake_hands(
    stream: TcpStream,
    name: &str,
    config: ClientConfig,
) -> io::Result<Secured> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = Box::new(StreamOwned::new(connection, stream));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// A client inside TLS.
#[track_caller]
pub(crate) fn client(address: SocketAddr, name: &str, config: ClientConfig) -> Client {
    Client::over(Wire::Tls(connect(address, name, config).unwrap()))
}

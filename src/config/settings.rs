//! What the program may rely on: immutable and valid.

use crate::compare::Rules;
pub use crate::config::ids::IdTable;
pub use crate::config::judging::{Again, Noise};
pub use crate::config::protocol::{Multiplexing, Protocol};
use crate::route::bucket::Share;
use crate::route::decide::{Pins, Serve};
use crate::route::pattern::Pattern;
use crate::side::Side;
use crate::template::Template;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::config::samples::{Samples, Values};

/// A whole, valid routes.toml.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[migration]`.
    pub migration: Migration,
    /// `[server]`.
    pub server: Server,
    /// `[old]`.
    pub old: Upstream,
    /// `[new]`.
    pub new: Upstream,
    /// `old.twin`: another old, which is asked what old does to itself.
    pub twin: Option<Upstream>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[log]`.
    pub log: Log,
    /// `[samples]`.
    pub samples: Samples,
    /// `[noise]`.
    pub noise: Noise,
    /// `[ids]`, by name.
    pub ids: BTreeMap<String, IdTable>,
    /// `[[route]]`, in the order of the file.
    pub routes: Vec<Route>,
}

impl Settings {
    /// The names of `[ids]`, and how many pairings each may have.
    pub fn id_bounds(&self) -> impl Iterator<Item = (&str, usize)> {
        let tables = self.ids.iter();
        tables.map(|(name, table)| (name.as_str(), table.max_pairs))
    }

    /// The settings of one side.
    #[must_use]
    pub fn upstream(&self, side: Side) -> &Upstream {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }
}

/// `[migration]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Salt of every bucket.
    pub name: String,
    /// The total switch.
    pub serve: Serve,
    /// False stops all shadowing.
    pub shadow: bool,
}

/// `[server]`. The first four need a restart to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where clients connect; at least one.
    pub listen: Vec<Listen>,
    /// Address of the admin API.
    pub admin: SocketAddr,
    /// Threads that serve; 0 for one a core.
    pub workers: usize,
    /// Durable state; absolute, or relative to the working directory after the file's folder was put before it.
    pub state_dir: PathBuf,
    /// Answer with `x-crossfade-*`.
    pub debug_headers: bool,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Further Host values that may change things through the admin API.
    pub admin_hosts: Vec<String>,
    /// File of the bearer token that guards `/api/*`.
    pub admin_token_file: Option<PathBuf>,
    /// A stop goes on accepting for this long, not ready any more.
    pub drain_delay: Duration,
    /// For what is open then to end.
    pub drain_timeout: Duration,
}

/// One of `server.listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: ListenAddress,
    /// Permissions of the file of a Unix socket.
    pub mode: u32,
    /// TLS with clients; `None` for none.
    pub tls: Option<ListenTls>,
    /// HTTP/2 without TLS, from the first byte, beside HTTP/1.
    pub h2c: bool,
    /// Each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// A listener's TLS: files in PEM, with paths like that of `state_dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenTls {
    /// At least one; the first serves clients whose name no other has.
    pub certificates: Vec<CertificateFiles>,
    /// Certificates of those who sign clients' certificates.
    pub client_ca: Option<PathBuf>,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The chain, the server's or client's own certificate first.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Listen {
    /// An address with every default.
    #[must_use]
    pub fn new(address: ListenAddress) -> Self {
        Self {
            address,
            mode: 0o660,
            tls: None,
            h2c: false,
            proxy_protocol: false,
        }
    }

    /// The address, if it is one of TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self.address {
            ListenAddress::Tcp(address) => Some(address),
            ListenAddress::Unix(_) => None,
        }
    }
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket; like `state_dir`.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[old]` or `[new]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// At least one.
    pub urls: Vec<Url>,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// Until the head of the answer.
    pub timeout: Duration,
    /// The Host that the side sees.
    pub host: HostRule,
    /// What it is spoken to in.
    pub protocol: Protocol,
    /// Limits of the process for this side's connections.
    pub pool: Pool,
    /// Requests that it answers at once, without copies.
    pub in_flight: usize,
    /// Whether the side is left alone for a while when it fails too often: copies always, requests only where old is asked instead.
    pub breaker: bool,
    /// TLS with the side, exactly if one of its urls is of https.
    pub tls: Option<SideTls>,
    /// How each endpoint is checked, if it is.
    pub health: Option<Health>,
}

/// One address of a side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Url {
    /// Host name or address literal, and the port unless it is 80: `127.0.0.1:7001`, `tags.internal`.
    Http(http::uri::Authority),
    /// The same inside TLS, with the port unless it is 443.
    Https(http::uri::Authority),
    /// The path of a Unix socket; like `state_dir`.
    Unix(PathBuf),
}

/// TLS with a side: files in PEM, with paths like that of `state_dir`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SideTls {
    /// Certificates of those who may have signed the side's; `None` for those that this machine believes.
    pub ca: Option<PathBuf>,
    /// What the side is shown, if it asks.
    pub identity: Option<CertificateFiles>,
    /// What the side's certificate must be for, in place of the url's host; a valid name or address.
    pub server_name: Option<String>,
}

impl Url {
    /// Host and port, if it is reached by them.
    #[must_use]
    pub fn authority(&self) -> Option<&http::uri::Authority> {
        match self {
            Self::Http(authority) | Self::Https(authority) => Some(authority),
            Self::Unix(_) => None,
        }
    }

    /// The port, where the url names none.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        match self {
            Self::Https(_) => 443,
            Self::Http(_) | Self::Unix(_) => 80,
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(authority) => write!(f, "http://{authority}"),
            Self::Https(authority) => write!(f, "https://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The request by which an endpoint is checked: it is well if it answers 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Health {
    /// GET or HEAD.
    pub method: http::Method,
    /// Path and query.
    pub target: String,
}

/// The Host that a side sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostRule {
    /// The client's.
    Preserve,
    /// The url's.
    Upstream,
    /// This one.
    Name(http::HeaderValue),
}

/// Limits of the process for one side's connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Connections in all.
    pub max_connections: usize,
    /// Idle ones among them.
    pub max_idle: usize,
    /// An idle one is closed after this.
    pub idle_timeout: Duration,
    /// One is not used again after this.
    pub max_age: Duration,
    /// Requests that may wait for a connection.
    pub queue: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_idle: 256,
            idle_timeout: Duration::from_secs(4),
            max_age: Duration::from_secs(600),
            queue: 1024,
        }
    }
}

/// `[limits]`: what clients may take of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of clients in all; never more than 45 % of the process's descriptors.
    pub connections: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// Bytes of a head.
    pub head_size: usize,
    /// Fields of a head.
    pub head_fields: usize,
    /// Bytes of a target's path and query.
    pub uri_size: usize,
    /// Between two requests of a connection, and before the first.
    pub idle_timeout: Duration,
    /// Bytes of a request's body.
    pub body_size: usize,
    /// Without a byte of a body that is waited for.
    pub body_timeout: Duration,
    /// Bytes a second that a body must have on average, after 10 s of waiting for it.
    pub body_rate: usize,
    /// Without progress of an answer that is written.
    pub response_timeout: Duration,
    /// Requests that a side answers at once.
    pub in_flight: usize,
    /// Bytes of bodies in all.
    pub body_memory: usize,
    /// A handshake of TLS, and the header of the PROXY protocol.
    pub tls_timeout: Duration,
    /// Of connections that speak HTTP/2.
    pub http2: Http2,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_timeout: Duration::from_secs(10),
            head_size: 64 * 1024,
            head_fields: 100,
            uri_size: 16 * 1024,
            idle_timeout: Duration::from_secs(75),
            body_size: 10 << 20,
            body_timeout: Duration::from_secs(30),
            body_rate: 500,
            response_timeout: Duration::from_secs(30),
            in_flight: 1024,
            body_memory: 256 << 20,
            tls_timeout: Duration::from_secs(10),
            http2: Http2::default(),
        }
    }
}

/// Limits of a client's connection that speaks HTTP/2. Those of [`Multiplexing`] hold for a side's too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Requests at once.
    pub streams: u32,
    /// Bytes of one request's body that may come before they are read.
    pub stream_window: u32,
    /// Bytes of all requests' bodies that may come before they are read.
    pub connection_window: u32,
    /// Bytes of a request's fields, each with 32 more.
    pub header_size: u32,
    /// How long nothing may come before the client is asked whether it is there.
    pub ping: Duration,
    /// How long it may take to answer that.
    pub ping_timeout: Duration,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            streams: 100,
            stream_window: 64 * 1024,
            connection_window: 256 * 1024,
            header_size: 16 * 1024,
            ping: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Log {
    /// From which level on lines are written.
    pub level: LogLevel,
    /// How a line reads.
    pub format: LogFormat,
    /// A line for each request; `None` for none.
    pub access: Option<AccessLog>,
    /// The collector of OpenTelemetry that gets spans; `None` for none, and without the feature `otel`.
    pub traces: Option<http::uri::Authority>,
}

/// How much the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What should be looked at, too.
    Warn,
    /// What has changed, too.
    #[default]
    Info,
    /// What helps to find a mistake, too.
    Debug,
}

/// How a line of the log reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// As text.
    #[default]
    Text,
    /// As an object of JSON.
    Json,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// The share of requests that get a line.
    pub sample: Share,
    /// Where lines go: with a path like that of `state_dir`; `None` for stdout.
    pub file: Option<PathBuf>,
}

/// `[[route]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Label of its metrics.
    pub name: String,
    /// Methods and path.
    pub pattern: Pattern,
    /// Host that it is limited to.
    pub host: Option<String>,
    /// How a request's key is made.
    pub key: Option<Template>,
    /// Share of keys served by new.
    pub percent: Share,
    /// The route's own switch.
    pub serve: Serve,
    /// Keys with a fixed side.
    pub pins: Pins,
    /// The route's own salt.
    pub salt: Option<String>,
    /// What happens when new fails.
    pub fallback: Fallback,
    /// What is mirrored.
    pub shadow: Shadow,
    /// POST and PUT are reads.
    pub read: bool,
    /// How answers are compared.
    pub compare: Rules,
    /// When a difference is looked at again.
    pub again: Again,
}

/// What happens when new serves and fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The client sees the failure.
    Off,
    /// Old is asked when new fails, or has sent no head within `after` (`None`: the side's timeout).
    On {
        /// Patience with new.
        after: Option<Duration>,
    },
}

/// What is mirrored, and within which bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Share of keys mirrored.
    pub percent: Share,
    /// From the moment a copy is taken up.
    pub timeout: Duration,
    /// Bytes of a body, each way.
    pub max_body: usize,
}

impl Default for Shadow {
    fn default() -> Self {
        Self {
            percent: Share::NONE,
            timeout: Duration::from_secs(5),
            max_body: 256 * 1024,
        }
    }
}
